package flow

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/keys"
)

// ErrSignature is the error of a session that ends because a message lacks its sender's signature, which the
// ends have agreed on.
var ErrSignature = fmt.Errorf("%w: a message is not signed by its sender", fault.ErrMisbehaved)

// errUnsigned says that a message could be sent now, but must be signed first.
var errUnsigned = errors.New("e2e: not signed")

// sendOnce is sendNow, but signs the message first if it must be signed. The signature covers the message's
// number, so such messages take turns. Nobody else waits for the Signer, which may be slow: if a refusal
// takes the number meanwhile, the message is signed again.
func (f *Flow) sendOnce(ctx context.Context, m *Outgoing) error {
	if !signing.Required(f.engine, m.Kind) {
		return f.sendNow(ctx, m)
	}
	if err := f.enter(ctx, f.sign); err != nil {
		return err
	}
	for {
		if err := f.sendNow(ctx, m); err != errUnsigned {
			f.leave(f.sign)
			return err
		}
		m.signature = f.prepare(m, f.engine.Sent()+1)
		if err := f.makeSignature(ctx, m.signature); err != nil {
			return err
		}
	}
}

// prepare returns the signature of a message under this number, to be made by its Signer.
func (f *Flow) prepare(m *Outgoing, number uint64) *signing.Signature {
	key, signer := f.signer()
	return signing.Prepare(f.engine, m.Header, m.Body, number, key, signer)
}

// makeSignature waits for the Signer no longer than the context, the session and SendTimeout last. The caller
// has the turn to sign. After an error makeSignature gives the turn back, once the Signer has returned.
func (f *Flow) makeSignature(ctx context.Context, s *signing.Signature) error {
	limited, cancel := context.WithTimeout(ctx, f.cfg.SendTimeout)
	defer cancel()
	late, err := s.Make(limited, f.ended, func(late bool) {
		if late {
			f.leave(f.sign)
		}
	})
	switch {
	case late && f.Over():
		return f.err
	case late && ctx.Err() != nil:
		return ctx.Err()
	case late:
		return fmt.Errorf("e2e: send: signing: the Signer has not answered for %v: see whether what holds the key works", f.cfg.SendTimeout)
	case err != nil:
		f.leave(f.sign)
		return fmt.Errorf("e2e: send: signing: %w", err)
	}
	return nil
}

// signer returns a signing key that the peer can verify: the primary key of this end's identity as the peer
// last learned it. If that key has retired since, it is still accepted.
func (f *Flow) signer() (keys.SigningKeyID, keys.Signer) {
	if l := f.line.Load(); l != nil {
		name := l.Link.Announced().VerifyingKey().ID()
		if signer, ok := f.cfg.Identity.SignerOf(name); ok {
			return name, signer
		}
	}
	return f.cfg.Identity.Signing()
}
