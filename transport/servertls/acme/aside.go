//go:build !js

package acme

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hopseal/hopseal/internal/safetext"
)

// aside calls what is not this project's code and waits no longer than ctx lasts. A
// call that goes on has its goroutine until it returns. A panic there is an error: no
// net/http is around that would hold it.
func aside[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errors.New("its goroutine ended")} // an answer that did not come is a no
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("it panicked: %s\n%s", safetext.Line(fmt.Sprint(v), shown), debug.Stack())
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
