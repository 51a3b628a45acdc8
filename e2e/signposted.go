package e2e

import (
	"context"
	"slices"

	"github.com/hopseal/hopseal/internal/engine"
)

// signPosted signs the messages that are in line, as far as there is room for them, so that they
// can be stored in one go. It waits for the Signer with the turn to sign, and no other. It returns
// errOther once message m has been looked after.
func (s *Session) signPosted(ctx context.Context, m *queuedSend) error {
	if err := s.enterOr(ctx, s.signing, m.done); err != nil {
		return err
	}
	for {
		next, as := s.spool.unsigned()
		if next == nil {
			s.leave(s.signing)
			return nil
		}
		err := s.sign(ctx, as)
		switch {
		case err == nil:
			s.spool.signed(next, as)
		case ctx.Err() != nil || s.over():
			return err
		default:
			if s.spool.withdraw(next) {
				next.finish(err)
			}
			return nil // and the next one takes the turn
		}
	}
}

// unsigned returns the first message in line that has to be signed for the number that it is
// going to have, and what is to be signed, or nil.
func (k *spool) unsigned() (*queuedSend, *signed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.session
	room := map[bool]bool{true: s.engine.Room(engine.KindAnswer), false: s.engine.Room(engine.KindMessage)}
	number := s.engine.Sent()
	for _, m := range k.pending {
		if !room[m.Kind.Free()] {
			continue
		}
		if number++; s.signs(m.Kind) && !m.signed.as(number) {
			return m, s.toSign(m.outgoing, number)
		}
	}
	return nil, nil
}

// signed takes in the signature of a message, if it is in line still.
func (k *spool) signed(m *queuedSend, as *signed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.pending, m) {
		m.signed = as
	}
}
