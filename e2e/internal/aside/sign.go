package aside

import (
	"context"
	"sync/atomic"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/keys"
)

// A signing is a call of a Signer, which may be a service.
type signing struct {
	done      chan struct{} // closed when the Signer has returned
	decided   atomic.Bool   // the Signer has returned, or its caller waits no more
	signature []byte
	err       error
}

// Sign asks the Signer, and waits until the context ends or over is closed. If the signature has
// not come by then it is late, and err is the context's error, if it has one. Once the Signer has
// returned, however late, Sign calls then, and tells it whether the signature was late.
func Sign(ctx context.Context, over <-chan struct{}, signer keys.Signer, message []byte, then func(late bool)) (signature []byte, late bool, err error) {
	s := &signing{done: make(chan struct{})}
	if _, immediate := signer.(interface{ Immediate() }); immediate { // a key in this process
		s.run(signer, message, then)
	} else {
		go s.run(signer, message, then)
	}
	select {
	case <-s.done:
	case <-over:
		late = s.decided.CompareAndSwap(false, true)
	case <-ctx.Done():
		late = s.decided.CompareAndSwap(false, true)
	}
	if late {
		return nil, true, ctx.Err()
	}
	<-s.done // the signature may have come meanwhile
	return s.signature, false, s.err
}

func (s *signing) run(signer keys.Signer, message []byte, then func(late bool)) {
	s.err = fault.ErrGoexit // until the Signer returns
	defer func() {
		then(!s.decided.CompareAndSwap(false, true))
		close(s.done)
	}()
	defer fault.Contain(&s.err)
	s.signature, s.err = signer.Sign(message)
}

// SignInTurn is [Sign] for a call that needs a turn.
func SignInTurn(ctx context.Context, turns Turns, signer keys.Signer, message []byte) ([]byte, error) {
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	signature, _, err := Sign(ctx, nil, signer, message, func(bool) { <-turns })
	return signature, err
}
