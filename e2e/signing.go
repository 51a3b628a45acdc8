package e2e

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/hopseal/hopseal/keys"
)

// errOver is returned by askSigner where nobody needs the signature any more.
var errOver = errors.New("e2e: the session is over")

// A Signer may be a service, so it may take for ever: nobody waits for one under a lock, nor for
// longer than he wants to. Each that has not returned keeps a goroutine, so how many are asked at
// a time is bounded by whoever asks.

// asking is a call of a Signer that somebody waits for.
type asking struct {
	done      chan struct{} // closed when it has returned
	settled   atomic.Bool   // it has returned, or nobody waits any more
	signature []byte
	err       error
}

// askSigner waits for a signature until the context ends or over is closed; the error is the
// context's then, or errOver. Once the Signer has returned it calls then, which is told whether
// that was too late.
func askSigner(ctx context.Context, over <-chan struct{}, signer keys.Signer, message []byte, then func(late bool)) ([]byte, error) {
	a := &asking{done: make(chan struct{})}
	go a.run(signer, message, then)
	var why error
	select {
	case <-a.done:
		return a.signature, a.err
	case <-over:
		why = errOver
	case <-ctx.Done():
		why = ctx.Err()
	}
	if a.settled.CompareAndSwap(false, true) {
		return nil, why
	}
	<-a.done // it came meanwhile
	return a.signature, a.err
}

func (a *asking) run(signer keys.Signer, message []byte, then func(late bool)) {
	a.err = errGoexit // until it is known better
	defer func() {
		then(!a.settled.CompareAndSwap(false, true))
		close(a.done)
	}()
	defer contain(&a.err)
	a.signature, a.err = signer.Sign(message)
}

// signAside asks a Signer in one of so many turns, which is kept until it has returned.
func signAside(ctx context.Context, turns chan struct{}, signer keys.Signer, message []byte) ([]byte, error) {
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return askSigner(ctx, nil, signer, message, func(bool) { <-turns })
}
