//go:build !js

package transport

import (
	"context"
	"errors"
)

// maxAuthCalls bounds the calls of Authenticate under way in a program, including those that nobody
// waits for any more.
const maxAuthCalls = 4096

var authCalls = make(chan struct{}, maxAuthCalls)

var errNoAnswer = errors.New("it ended its goroutine without an answer")

// An authResult is how a call of Authenticate ended.
type authResult struct {
	grant    Grant
	err      error
	panicked any
}

// callAuthenticate calls Authenticate and waits at most authTimeout, even if the call ignores its
// context. If Authenticate panics, callAuthenticate panics too, as if it had called it directly.
func callAuthenticate(ctx context.Context, authenticate func(context.Context, *Caller) (Grant, error), c *Caller) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, authTimeout)
	defer cancel()
	select {
	case authCalls <- struct{}{}:
	case <-ctx.Done():
		return Grant{}, ctx.Err()
	}
	answer := make(chan authResult, 1)
	go func() {
		v := authResult{err: errNoAnswer} // stays so if the call ends its goroutine
		defer func() {
			<-authCalls
			v.panicked = recover()
			answer <- v
		}()
		v.grant, v.err = authenticate(ctx, c)
	}()
	select {
	case v := <-answer:
		if v.panicked != nil {
			panic(v.panicked)
		}
		return v.grant, v.err
	case <-ctx.Done():
		return Grant{}, ctx.Err()
	}
}
