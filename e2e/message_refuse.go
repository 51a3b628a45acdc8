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

// Refuse tells the other end that this end did not take a message that [Session.ReceiveMessage] has
// returned, and why. The other end learns it through its [Options.Refused]. Refuse does not wait. Call it
// at most once for each message. For the zero Message, which comes with an error, it does nothing. It
// returns an error if no message with this ID has come: the other end would end the session for that.
func (s *Session) Refuse(m Message, why Refusal) error {
	switch {
	case m.ID == 0: // the other end would end the session
		return nil
	case m.ID > s.engine.Received():
		return fmt.Errorf("e2e: Session.Refuse: no message with the number %d has come", m.ID)
	}
	// The application has the message already, so nothing is left to consume, as with a request.
	taken := engine.Header{Kind: engine.KindRequest}
	s.flow.Refuse(flow.Incoming{Header: taken, Number: m.ID, Size: len(m.Data)}, sendable(why))
	return nil
}

// maxRefusals is how many refusals wait for a slow callback.
const maxRefusals = 16

// refusedThere queues, for the application, that the other end has refused a message for which no Call
// waits.
func (s *Session) refusedThere(why *RefusedError) { s.refusals.Put(why, maxRefusals, s.reportRefused) }

// reportRefused calls Options.Refused, or logs if there is none.
func (s *Session) reportRefused(why *RefusedError) {
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
