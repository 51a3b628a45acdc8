// Package dialtrace lets package diagnose follow a dial while it is under way.
package dialtrace

import "context"

type key struct{}

// With returns a context whose dials call trace with a transport.DialEvent when a phase
// is over, before the next one begins. They do not warn of cleartext.
func With(ctx context.Context, trace func(event any)) context.Context {
	return context.WithValue(ctx, key{}, trace)
}

// From returns what With was given, or nil.
func From(ctx context.Context) func(event any) {
	trace, _ := ctx.Value(key{}).(func(any))
	return trace
}
