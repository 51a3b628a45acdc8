package meet

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A Greeting is what a server does with a new connection before there is a session. It reads the
// first frame, and ends connections that lead to no session.
type Greeting struct {
	Conn    transport.Conn
	Guest   *lobby.Guest // nil in Accept
	Began   time.Time
	Timeout time.Duration                       // of the handshake
	Self    func() (engine.Config, keys.Signer) // who this end is now
	Signing chan struct{}                       // has room for each refusal that may be signed at a time

	First []byte // the client's first frame, once Read has returned
}

// Read waits for the first frame, which says what the client wants.
func (g *Greeting) Read(ctx context.Context) (err error) {
	g.First, err = firstFrame(ctx, g.Conn, g.Began.Add(g.Timeout))
	g.Guest.FrameCame()
	if err != nil {
		g.Guest.Release()
		g.Conn.Close(transport.CodePolicy, "")
	}
	return err
}

// TurnedDown ends a connection for which there is no room, and returns the error.
func (g *Greeting) TurnedDown(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		why = context.Cause(ctx)
	}
	g.Guest.Release()
	lobby.HangUp(g.Conn, transport.CodePolicy, why)
	return &fault.HandshakeError{Reason: fault.ReasonLocal, Err: why}
}

// Answer gives a resume its first frame. The error is [lobby.ErrBusy] if there are too many such
// frames, or no time for this one. Any other error, except the context's, says that the sender
// does not hold the session's secret.
func (g *Greeting) Answer(ctx context.Context, r *engine.Resume) (step engine.Step, err error) {
	id, _ := engine.ResumeID(g.First)
	if err := g.Guest.CheckRepeat(id, g.First); err != nil {
		return step, err
	}
	inTime, cancel := context.WithDeadline(ctx, r.Deadline())
	defer cancel()
	late := g.Guest.Compute(inTime, lobby.StageResume, func() {
		if step, err = r.Start(time.Now()); err == nil {
			step, err = r.Receive(time.Now(), g.First)
		}
	})
	switch {
	case err == nil && late == nil:
		return step, g.Guest.Return(id, g.First)
	case ctx.Err() != nil:
		return step, ctx.Err()
	case inTime.Err() != nil: // this says nothing about the sender
		return step, lobby.ErrBusy
	}
	return step, err
}
