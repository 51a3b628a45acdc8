package e2e

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A handshake drives the engine over a connection: it does what each step says.
type handshake struct {
	conn   transport.Conn
	engine *engine.Handshake
	signer keys.Signer
	decide func(ctx context.Context, peer *keys.PublicIdentity) error
}

// run returns the session or a [*HandshakeError]. The connection is closed on
// failure, always in the same way: which check failed is nobody's business.
func (h *handshake) run(ctx context.Context) (*engine.Session, error) {
	ctx, cancel := context.WithDeadline(ctx, h.engine.Deadline())
	defer cancel()
	limit(h.conn, engine.MaxHandshakeFrame)
	step, err := h.engine.Start(time.Now())
	for err == nil && step.Next != engine.Done {
		step, err = h.do(ctx, step)
	}
	if err == nil && step.Frame != nil { // a server's m4
		err = h.write(ctx, step.Frame)
	}
	if err != nil {
		h.conn.Close(transport.CodePolicy, "")
		return nil, err
	}
	return h.engine.Session(), nil
}

// limit makes a connection that can do so refuse messages of more than n bytes
// before they take up memory. Nobody has to be known to send them.
func limit(conn transport.Conn, n int) {
	if c, ok := conn.(interface{ SetMaxMessage(n int) }); ok {
		c.SetMaxMessage(n)
	}
}

func (h *handshake) do(ctx context.Context, step engine.Step) (engine.Step, error) {
	if step.Frame != nil {
		if err := h.write(ctx, step.Frame); err != nil {
			return step, err
		}
	}
	switch step.Next {
	case engine.Read:
		frame, err := h.conn.Read(ctx, nil)
		if err != nil {
			return step, lost(ctx, err)
		}
		return explained(h.engine.Receive(time.Now(), frame))
	case engine.Sign:
		signature, err := h.signer.Sign(h.engine.ToSign())
		if err != nil {
			return step, &HandshakeError{Reason: ReasonLocal, Err: err}
		}
		return explained(h.engine.Signed(time.Now(), signature))
	}
	if err := h.decide(ctx, h.engine.Peer()); err != nil {
		return step, h.refuse(ctx, err)
	}
	return explained(h.engine.Accept(time.Now()))
}

// refuse ends the handshake after the decision went against the peer, and returns
// why.
func (h *handshake) refuse(ctx context.Context, why error) error {
	code := engine.CodeUnavailable // the decision could not be made
	var trust *keys.TrustError
	if errors.As(why, &trust) {
		code = engine.CodeRefused
	}
	if step, _ := h.engine.Refuse(code); step.Frame != nil {
		h.conn.Write(ctx, step.Frame) // it failed anyway
	}
	switch {
	case trust != nil:
		return &HandshakeError{Reason: ReasonUntrusted, Err: why}
	case ctx.Err() != nil:
		return lost(ctx, why)
	}
	return &HandshakeError{Reason: ReasonLocal, Err: why}
}

func (h *handshake) write(ctx context.Context, frame []byte) error {
	if err := h.conn.Write(ctx, frame); err != nil {
		return lost(ctx, err)
	}
	return nil
}

// lost says why a connection ended during the handshake.
func lost(ctx context.Context, err error) error {
	switch ended := ctx.Err(); ended {
	case nil:
		return &HandshakeError{Reason: ReasonLost, Err: err}
	case context.DeadlineExceeded:
		return &HandshakeError{Reason: ReasonTimeout, Err: ended}
	}
	return &HandshakeError{Reason: ReasonLocal, Err: context.Cause(ctx)}
}

func explained(step engine.Step, err error) (engine.Step, error) {
	if err != nil {
		err = explainHandshake(err)
	}
	return step, err
}
