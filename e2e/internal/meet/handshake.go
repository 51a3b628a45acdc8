package meet

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A Handshake drives the engine over a connection, to make a session or to go on with one. It
// does what each step of the engine says.
type Handshake struct {
	Conn   transport.Conn
	Engine Exchange
	Signer keys.Signer   // for a *engine.Handshake
	Guest  *lobby.Guest  // nil at a client, and in Accept
	Turns  chan struct{} // has room for each signature that may be under way at a time
	Decide func(ctx context.Context, peer *keys.PublicIdentity) error
	Verify func(ctx context.Context, peer *keys.PublicIdentity) error // of an *engine.Resume
	Load   func(ctx context.Context) (engine.Step, error)             // of an *engine.Resume that begins without its session

	accepted bool // Decide has said yes
	Counted  bool // an attempt was refused that would have counted, see engine.Resume.Committable
}

// An Exchange is a *engine.Handshake or *engine.Resume.
type Exchange interface {
	Start(now time.Time) (engine.Step, error)
	Receive(now time.Time, frame []byte) (engine.Step, error)
	Accept(now time.Time) (engine.Step, error)
	Refuse(code engine.Code) (engine.Step, error)
	Deadline() time.Time
	Peer() *keys.PublicIdentity

	Bind(binding []byte)
	Present(credentials []byte) error
	Credentials() []byte
	Grant(lifetime time.Duration)
	Lifetime() time.Duration
	Hop() engine.Hop
}

// Client runs the client's end. The error is a [*fault.HandshakeError]. On failure Client closes
// the connection, always in the same way, so that nobody learns which check failed.
func (h *Handshake) Client(ctx context.Context) error {
	step, err := explained(h.Engine.Start(time.Now()))
	_, err = h.Run(ctx, step, err)
	return turnedAway(err)
}

// turnedAway makes the loss of a connection [fault.ReasonUnavailable] if the server closed it
// because it is too busy. A hop can close a connection in the same way, so this leads only to a
// wait.
func turnedAway(err error) error {
	failed, closed := new(fault.HandshakeError), new(transport.CloseError)
	if errors.As(err, &failed) && failed.Reason == fault.ReasonLost && errors.As(err, &closed) && closed.Remote && closed.Code == transport.CodeTryLater {
		return &fault.HandshakeError{Reason: fault.ReasonUnavailable, Err: failed.Err}
	}
	return err
}

// Server is [Handshake.Client] for the server, which has read the first frame already. It returns
// the last frame. The caller writes it once it is ready for what may follow.
func (h *Handshake) Server(ctx context.Context, first []byte) (last []byte, err error) {
	step, err := explained(h.Engine.Start(time.Now()))
	if err == nil {
		step, err = h.receive(ctx, lobby.StageFirst, first)
	}
	return h.Run(ctx, step, err)
}

// Run does what step and the steps after it say. It returns the last frame, for the caller to
// write.
func (h *Handshake) Run(ctx context.Context, step engine.Step, err error) (last []byte, _ error) {
	ctx, cancel := context.WithDeadline(ctx, h.Engine.Deadline())
	defer cancel()
	Limit(h.Conn, engine.MaxHandshakeFrame)
	h.Engine.Bind(h.Conn.Info().TLS.ChannelBinding())
	for err == nil && step.Next != engine.Done {
		step, err = h.do(ctx, step)
	}
	if err != nil {
		h.Guest.Release()
		h.Conn.Close(transport.CodePolicy, "")
		return nil, h.known(err)
	}
	return step.Frame, nil
}

// Finish writes a server's last frame.
func (h *Handshake) Finish(ctx context.Context, last []byte) error {
	ctx, cancel := context.WithDeadline(ctx, h.Engine.Deadline())
	defer cancel()
	err := h.write(ctx, last)
	if err != nil {
		h.Guest.Release()
		h.Conn.Close(transport.CodePolicy, "")
	}
	return err
}

// firstFrame reads the frame that a client begins with.
func firstFrame(ctx context.Context, conn transport.Conn, deadline time.Time) ([]byte, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	Limit(conn, engine.MaxFirstFrame)
	frame, err := conn.Read(ctx, nil)
	if err != nil {
		return nil, lost(ctx, err)
	}
	return frame, nil
}

// Limit makes a connection, if it can, refuse messages of more than n bytes before they take up
// memory: strangers can send them.
func Limit(conn transport.Conn, n int) {
	if c, ok := conn.(interface{ SetMaxMessage(n int) }); ok {
		c.SetMaxMessage(n)
	}
}

func (h *Handshake) do(ctx context.Context, step engine.Step) (engine.Step, error) {
	if step.Frame != nil {
		if err := h.write(ctx, step.Frame); err != nil {
			return step, err
		}
	}
	switch step.Next {
	case engine.Read:
		h.Guest.FrameExpected()
		frame, err := h.Conn.Read(ctx, nil)
		if err != nil {
			return step, lost(ctx, err)
		}
		h.Guest.FrameCame()
		next, err := h.receive(ctx, lobby.StageLast, frame)
		if err != nil && next.Frame != nil {
			h.Conn.Write(ctx, next.Frame) // it failed anyway
		}
		return next, err
	case engine.Sign:
		return h.sign(ctx, h.Engine.(*engine.Handshake))
	case engine.Load:
		next, err := h.Load(ctx)
		if check := new(engine.Error); errors.As(err, &check) {
			return explained(next, err)
		} else if err != nil {
			return step, h.refuse(ctx, err)
		}
		return next, nil
	}
	peer := h.Engine.Peer()
	err := NotRevoked(peer)
	if err == nil {
		err = h.Decide(ctx, peer)
	} else if h.Verify != nil {
		PassOn(ctx, peer, h.Verify)
	}
	if err != nil {
		return step, h.refuse(ctx, err)
	}
	h.accepted = true
	return explained(h.Engine.Accept(time.Now()))
}

// receive computes the step that follows from a frame, when its turn comes.
func (h *Handshake) receive(ctx context.Context, at lobby.Stage, frame []byte) (step engine.Step, err error) {
	ctx, cancel := context.WithDeadline(ctx, h.Engine.Deadline())
	defer cancel()
	late := h.Guest.Compute(ctx, at, func() { step, err = explained(h.Engine.Receive(time.Now(), frame)) })
	if late != nil {
		return step, lost(ctx, late)
	}
	return step, err
}

func (h *Handshake) sign(ctx context.Context, e *engine.Handshake) (engine.Step, error) {
	signature, err := aside.SignInTurn(ctx, h.Turns, h.Signer, e.ToSign())
	switch {
	case err != nil && ctx.Err() != nil:
		return engine.Step{}, lost(ctx, err)
	case errors.As(err, new(*fault.PanicError)):
		return engine.Step{}, err
	case err != nil:
		return engine.Step{}, &fault.HandshakeError{Reason: fault.ReasonLocal, Err: err}
	}
	return explained(e.Signed(time.Now(), signature))
}

func (h *Handshake) write(ctx context.Context, frame []byte) error {
	if err := h.Conn.Write(ctx, frame); err != nil {
		return lost(ctx, err)
	}
	return nil
}

// lost returns the error of a handshake whose connection has ended.
func lost(ctx context.Context, err error) error {
	switch ended := ctx.Err(); ended {
	case nil:
		return &fault.HandshakeError{Reason: fault.ReasonLost, Err: err}
	case context.DeadlineExceeded:
		return &fault.HandshakeError{Reason: fault.ReasonTimeout, Err: ended}
	}
	return &fault.HandshakeError{Reason: fault.ReasonLocal, Err: context.Cause(ctx)}
}

func explained(step engine.Step, err error) (engine.Step, error) {
	if err != nil {
		err = fault.Explain(err)
	}
	return step, err
}

// Differ returns how the protocols of the two ends differ, or nil if they do not. It returns nil
// for a resume, whose ends have agreed before.
func Differ(e Exchange) *engine.SpeechError {
	if h, ok := e.(*engine.Handshake); ok {
		return h.Differ()
	}
	return nil
}

// known returns what an end reports about a failed handshake. A client that has accepted a server
// with another protocol reports that, even if the server's last frame does not come.
func (h *Handshake) known(err error) error {
	failed, ok := err.(*fault.HandshakeError)
	if other := Differ(h.Engine); other != nil && h.accepted && ok && failed.Reason != fault.ReasonLocal {
		return fault.Protocol(other)
	}
	return err
}
