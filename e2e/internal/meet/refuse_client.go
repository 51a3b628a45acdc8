package meet

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
)

// refuse ends a handshake or a resume whose peer is not accepted, and returns the error.
func (h *Handshake) refuse(ctx context.Context, why error) error {
	reason, no := fault.Refuses(why)
	if errors.Is(why, sessionstore.ErrNotStored) { // it was stored when the attempt began
		reason, no = fault.ReasonUnknownSession, true
	}
	if frame := h.refusal(why, reason, no); frame != nil {
		h.Conn.Write(ctx, frame) // it failed anyway
	}
	var panicked *fault.PanicError
	switch {
	case no:
		return &fault.HandshakeError{Reason: reason, Err: why}
	case errors.As(why, &panicked):
		return panicked
	case ctx.Err() != nil:
		return lost(ctx, why)
	}
	return &fault.HandshakeError{Reason: fault.ReasonLocal, Err: why}
}

// refusal returns the frame that tells the peer, if there is one. If an identity is no longer
// accepted and the attempt counts, that ends the session. A refusal of a statement or credentials
// that are only out of their time ends nothing.
func (h *Handshake) refusal(why error, reason fault.Reason, no bool) []byte {
	var step engine.Step
	attempt, resumes := h.Engine.(*engine.Resume)
	switch {
	case !no: // the decision could not be made
		step, _ = h.Engine.Refuse(engine.CodeUnavailable)
	case reason == fault.ReasonUnknownSession:
		step, _ = h.Engine.Refuse(engine.CodeUnknown)
	case !resumes:
		step, _ = h.Engine.Refuse(h.strangersCode(reason))
	case fault.Outdated(why):
		step, _ = h.Engine.Refuse(map[fault.Reason]engine.Code{fault.ReasonUntrusted: engine.CodeLapsed, fault.ReasonUnauthorized: engine.CodeStale}[reason])
	case reason == fault.ReasonUntrusted:
		step, h.Counted = attempt.Condemn(engine.CodeRefused)
	default:
		h.Counted = attempt.Committable()
		step, _ = h.Engine.Refuse(engine.CodeRefused)
	}
	return step.Frame
}

// strangersCode returns the code for a client that asks for a new session. Only its statement and
// the clock decide whether it hears that the statement is out of its time.
func (h *Handshake) strangersCode(reason fault.Reason) engine.Code {
	if reason == fault.ReasonUntrusted && h.Engine.Peer().Lapsed(time.Now()) {
		return engine.CodeLapsed
	}
	return engine.CodeRefused
}
