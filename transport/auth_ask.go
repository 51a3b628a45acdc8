//go:build !js

package transport

import (
	"context"
	"errors"
)

// mostAsked is how many calls of Authenticate there are at once in a program, those that go on
// when nobody waits for them any more among them.
const mostAsked = 4096

var asked = make(chan struct{}, mostAsked)

var errNoAnswer = errors.New("it ended its goroutine without an answer")

// A ruling is what a call of Authenticate came to.
type ruling struct {
	grant    Grant
	err      error
	panicked any
}

// inTime asks Authenticate, and waits for the answer for no longer than it has time, whatever it
// does with its context. A panic goes on where somebody waits for it, as if it had been called here.
func inTime(ctx context.Context, authenticate func(context.Context, *Caller) (Grant, error), c *Caller) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, authTimeout)
	defer cancel()
	select {
	case asked <- struct{}{}:
	case <-ctx.Done():
		return Grant{}, ctx.Err()
	}
	answer := make(chan ruling, 1)
	go func() {
		v := ruling{err: errNoAnswer} // until it is known better
		defer func() {
			<-asked
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
