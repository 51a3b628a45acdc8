// Package aside calls code that is not this project's: a Verifier, Authenticate, Credentials, a
// session store. Behind each may be a disk, a file that another machine has locked, or a
// service. A call may take for ever, whatever its context says, so nobody waits for it longer
// than the context lasts. A call that has not returned keeps one goroutine and one of a limited
// number of turns.
package aside

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/fault"
)

// Turns limit how many calls may be under way. Each call holds one until it has returned.
type Turns chan struct{}

// Limit returns n turns.
func Limit(n int) Turns { return make(Turns, n) }

// Call is [Within] for a call that needs a turn.
func Call[T any](ctx context.Context, turns Turns, call func(context.Context) (T, error)) (none T, _ error) {
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return Within(ctx, func(ctx context.Context) (T, error) {
		defer func() { <-turns }()
		return call(ctx)
	})
}

// Do is [Call] for a call that returns nothing but an error.
func Do(ctx context.Context, turns Turns, call func(context.Context) error) error {
	_, err := Call(ctx, turns, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// Within makes a call in a goroutine of its own, and waits for it until the context ends. Then the
// error is the context's, and the call may still have its effect. A panic becomes an error, and so
// does runtime.Goexit: no answer is not a yes.
func Within[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	var answer T
	done := make(chan error, 1)
	go func() {
		err := fault.ErrGoexit // until the call returns
		defer func() { done <- err }()
		defer fault.Contain(&err)
		answer, err = call(ctx)
	}()
	select {
	case err := <-done:
		return answer, err
	case <-ctx.Done():
		var none T // the call may still write to answer
		return none, ctx.Err()
	}
}
