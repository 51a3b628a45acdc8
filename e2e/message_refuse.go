package e2e

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/slog"
)

// Refuse tells the other end that a message which [Session.ReceiveMessage] has returned was
// not taken, and why: it learns that through its [Options.Refused]. Refuse does not wait. It
// must be called once at most for each message. The zero Message, which comes with an error,
// refuses nothing. The error says that no message with this ID has come: to refuse one would
// end the session.
func (s *Session) Refuse(m Message, why Refusal) error {
	switch {
	case m.ID == 0: // the other end would end the session
		return nil
	case m.ID > s.engine.Received():
		return fmt.Errorf("e2e: Session.Refuse: no message with the number %d has come", m.ID)
	}
	// Nothing is left to consume of a message that the application was given, as of a request.
	taken := engine.Header{Kind: engine.KindRequest}
	s.flow.Refuse(flow.Incoming{Header: taken, Number: m.ID, Size: len(m.Data)}, sendable(why))
	return nil
}

// maxTold is how many refusals wait for a slow callback.
const maxTold = 16

// toldRefused tells the application that the other end has refused a message which
// nobody waits for.
func (s *Session) toldRefused(why *RefusedError) { s.telling.Put(why, maxTold, s.tellRefused) }

func (s *Session) tellRefused(why *RefusedError) {
	defer func() {
		if v := recover(); v != nil {
			s.local.logger.LogAttrs(context.Background(), slog.LevelError, "Refused panicked", outcome.Attrs(outcome.Panic, &PanicError{Value: v, Stack: debug.Stack()})...)
		}
	}()
	if s.onRefused == nil {
		s.doorbell.RefusedThere(s.local.logger, s.subject(s.Info().Transport), why)
		return
	}
	s.onRefused(s, why)
}
