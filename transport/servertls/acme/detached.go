//go:build !js

package acme

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hopseal/hopseal/internal/safetext"
)

// runDetached calls code of the application or of a library, and waits no longer than ctx
// lasts. A call that takes longer keeps its goroutine until it returns. A panic becomes an
// error, because no net/http handler is there to recover it.
func runDetached[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errors.New("its goroutine ended")} // a call that ends its goroutine must not count as a success
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("it panicked: %s\n%s", safetext.Line(fmt.Sprint(v), maxErrorText), debug.Stack())
			}
			done <- r
		}()
		r.value, r.err = call(ctx)
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
