package e2e

import (
	"context"
	"sync/atomic"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/keys"
)

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

// askSigner waits for a signature until the context ends or over is closed: then it is late, with
// the context's error if it has one. Once the Signer has returned it calls then, which is told
// the same.
func askSigner(ctx context.Context, over <-chan struct{}, signer keys.Signer, message []byte, then func(late bool)) (signature []byte, late bool, err error) {
	a := &asking{done: make(chan struct{})}
	if _, immediate := signer.(interface{ Immediate() }); immediate { // a key in this process
		a.run(signer, message, then)
	} else {
		go a.run(signer, message, then)
	}
	select {
	case <-a.done:
	case <-over:
		late = a.settled.CompareAndSwap(false, true)
	case <-ctx.Done():
		late = a.settled.CompareAndSwap(false, true)
	}
	if late {
		return nil, true, ctx.Err()
	}
	<-a.done // it may have come meanwhile
	return a.signature, false, a.err
}

func (a *asking) run(signer keys.Signer, message []byte, then func(late bool)) {
	a.err = errGoexit // until it is known better
	defer func() {
		then(!a.settled.CompareAndSwap(false, true))
		close(a.done)
	}()
	defer fault.Contain(&a.err)
	a.signature, a.err = signer.Sign(message)
}

// signAside asks a Signer in one of so many turns, which is kept until it has returned.
func signAside(ctx context.Context, turns chan struct{}, signer keys.Signer, message []byte) ([]byte, error) {
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	signature, _, err := askSigner(ctx, nil, signer, message, func(bool) { <-turns })
	return signature, err
}
