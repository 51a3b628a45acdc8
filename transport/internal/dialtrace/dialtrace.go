// Package dialtrace lets package diagnose follow a dial phase by phase: diagnose calls
// [With], and package transport calls [From].
package dialtrace

import "context"

type key struct{}

// With returns a context for dials. Such a dial calls trace with a transport.DialEvent after
// each phase, before the next one begins, and does not warn of cleartext.
func With(ctx context.Context, trace func(event any)) context.Context {
	return context.WithValue(ctx, key{}, trace)
}

// From returns the function that was given to With, or nil.
func From(ctx context.Context) func(event any) {
	trace, _ := ctx.Value(key{}).(func(any))
	return trace
}
