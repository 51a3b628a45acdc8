package meet

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// Refuse answers a client that wants to resume a session which this server does not have, or
// does not have for this client. If the refusal cannot be signed, Refuse tells the client to try
// again: without a signature nobody has said that there is no such session.
func (g *Greeting) Refuse(ctx context.Context) error {
	ctx, cancel := context.WithDeadline(ctx, g.Began.Add(g.Timeout))
	defer cancel()
	if err := g.Guest.WaitForSlot(ctx, g.Timeout/2); err != nil {
		return g.TurnedDown(ctx, err)
	}
	frame, err := g.refusal(ctx)
	if err == nil {
		g.Conn.Write(ctx, frame) // it failed anyway
	}
	g.Guest.Release()
	if errors.Is(err, engine.ErrResume) { // no honest client sends this r1
		g.Conn.Close(transport.CodePolicy, "")
		return fault.Explain(err)
	}
	if err != nil {
		g.Conn.Close(transport.CodeTryLater, "")
		return &fault.HandshakeError{Reason: fault.ReasonLocal, Err: fmt.Errorf("refusing an unknown session: %w", err)}
	}
	g.Conn.Close(transport.CodePolicy, "")
	return &fault.HandshakeError{Reason: fault.ReasonUnknownSession}
}

func (g *Greeting) refusal(ctx context.Context) ([]byte, error) {
	self, signer := g.Self()
	r, err := engine.NewRefusal(self, g.First)
	if err != nil {
		return nil, err
	}
	signature, err := aside.SignInTurn(ctx, g.Signing, signer, r.ToSign())
	if err != nil {
		return nil, err
	}
	return r.Frame(signature)
}
