package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// maxSigning bounds the signatures of refusals that are under way at a server: strangers
// can ask for them, and a Signer that does not answer keeps its goroutine.
const maxSigning = 64

// refuse is the answer to a client that wants to go on with a session that there is not,
// or not for it. If it cannot be signed the client is to try again: nobody has said that
// there is no such session.
func (g *greeting) refuse(ctx context.Context) error {
	ctx, cancel := context.WithDeadline(ctx, g.began.Add(g.cfg.HandshakeTimeout))
	defer cancel()
	if err := g.guest.WaitForSlot(ctx, g.cfg.HandshakeTimeout/2); err != nil {
		return g.turnedDown(ctx, err)
	}
	frame, err := g.refusal(ctx)
	if err == nil {
		g.conn.Write(ctx, frame) // it failed anyway
	}
	g.guest.Release()
	if errors.Is(err, engine.ErrResume) { // the r1 of nobody honest
		g.conn.Close(transport.CodePolicy, "")
		return fault.Explain(err)
	}
	if err != nil {
		g.conn.Close(transport.CodeTryLater, "")
		return &HandshakeError{Reason: ReasonLocal, Err: fmt.Errorf("refusing an unknown session: %w", err)}
	}
	g.conn.Close(transport.CodePolicy, "")
	return &HandshakeError{Reason: ReasonUnknownSession}
}

func (g *greeting) refusal(ctx context.Context) ([]byte, error) {
	self, signer := g.cfg.engine()
	r, err := engine.NewRefusal(self, g.first)
	if err != nil {
		return nil, err
	}
	signature, err := aside.SignInTurn(ctx, g.signing, signer, r.ToSign())
	if err != nil {
		return nil, err
	}
	return r.Frame(signature)
}
