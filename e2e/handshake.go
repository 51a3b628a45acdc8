package e2e

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A handshake drives the engine over a connection, to make a session or to go on
// with one: it does what each step says.
type handshake struct {
	conn   transport.Conn
	engine exchange
	signer keys.Signer   // for a *engine.Handshake
	guest  *lobby.Guest  // nil at a client, and in Accept
	turns  chan struct{} // has a place for each time that it may be asked at once
	decide func(ctx context.Context, peer *keys.PublicIdentity) error
	verify func(ctx context.Context, peer *keys.PublicIdentity) error // of an *engine.Resume
	load   func(ctx context.Context) (engine.Step, error)             // of an *engine.Resume that begins without its session

	accepted bool // decide has said yes
	counted  bool // the attempt that was refused would have counted, see engine.Resume.Committable
}

// exchange is a *engine.Handshake or *engine.Resume.
type exchange interface {
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

// client runs the client's end. The error is a [*HandshakeError]. The connection is
// closed on failure, always in the same way: which check failed is nobody's business.
func (h *handshake) client(ctx context.Context) error {
	step, err := explained(h.engine.Start(time.Now()))
	_, err = h.run(ctx, step, err)
	return turnedAway(err)
}

// turnedAway tells a connection that the server closed because it is too busy from one that was
// lost otherwise. A hop can close in the same way: nothing but a wait follows from it.
func turnedAway(err error) error {
	failed, closed := new(HandshakeError), new(transport.CloseError)
	if errors.As(err, &failed) && failed.Reason == ReasonLost && errors.As(err, &closed) && closed.Remote && closed.Code == transport.CodeTryLater {
		return &HandshakeError{Reason: ReasonUnavailable, Err: failed.Err}
	}
	return err
}

// server is client for the end that has read the first frame already. It returns the
// frame to write when everything is ready for what may follow it.
func (h *handshake) server(ctx context.Context, first []byte) (last []byte, err error) {
	step, err := explained(h.engine.Start(time.Now()))
	if err == nil {
		step, err = h.receive(ctx, lobby.StageFirst, first)
	}
	return h.run(ctx, step, err)
}

func (h *handshake) run(ctx context.Context, step engine.Step, err error) (last []byte, _ error) {
	ctx, cancel := context.WithDeadline(ctx, h.engine.Deadline())
	defer cancel()
	limit(h.conn, engine.MaxHandshakeFrame)
	h.engine.Bind(h.conn.Info().TLS.ChannelBinding())
	for err == nil && step.Next != engine.Done {
		step, err = h.do(ctx, step)
	}
	if err != nil {
		h.guest.Release()
		h.conn.Close(transport.CodePolicy, "")
		return nil, h.known(err)
	}
	return step.Frame, nil
}

// finish writes a server's last frame.
func (h *handshake) finish(ctx context.Context, last []byte) error {
	ctx, cancel := context.WithDeadline(ctx, h.engine.Deadline())
	defer cancel()
	err := h.write(ctx, last)
	if err != nil {
		h.guest.Release()
		h.conn.Close(transport.CodePolicy, "")
	}
	return err
}

// firstFrame is what a client begins with.
func firstFrame(ctx context.Context, conn transport.Conn, deadline time.Time) ([]byte, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	limit(conn, engine.MaxFirstFrame)
	frame, err := conn.Read(ctx, nil)
	if err != nil {
		return nil, lost(ctx, err)
	}
	return frame, nil
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
		h.guest.FrameExpected()
		frame, err := h.conn.Read(ctx, nil)
		if err != nil {
			return step, lost(ctx, err)
		}
		h.guest.FrameCame()
		next, err := h.receive(ctx, lobby.StageLast, frame)
		if err != nil && next.Frame != nil {
			h.conn.Write(ctx, next.Frame) // it failed anyway
		}
		return next, err
	case engine.Sign:
		return h.sign(ctx, h.engine.(*engine.Handshake))
	case engine.Load:
		next, err := h.load(ctx)
		if check := new(engine.Error); errors.As(err, &check) {
			return explained(next, err)
		} else if err != nil {
			return step, h.refuse(ctx, err)
		}
		return next, nil
	}
	peer := h.engine.Peer()
	err := notRevoked(peer)
	if err == nil {
		err = h.decide(ctx, peer)
	} else if h.verify != nil {
		passOn(ctx, peer, h.verify)
	}
	if err != nil {
		return step, h.refuse(ctx, err)
	}
	h.accepted = true
	return explained(h.engine.Accept(time.Now()))
}

// receive computes what follows from a frame, in a turn.
func (h *handshake) receive(ctx context.Context, at lobby.Stage, frame []byte) (step engine.Step, err error) {
	ctx, cancel := context.WithDeadline(ctx, h.engine.Deadline())
	defer cancel()
	late := h.guest.Compute(ctx, at, func() { step, err = explained(h.engine.Receive(time.Now(), frame)) })
	if late != nil {
		return step, lost(ctx, late)
	}
	return step, err
}

func (h *handshake) sign(ctx context.Context, e *engine.Handshake) (engine.Step, error) {
	signature, err := aside.SignInTurn(ctx, h.turns, h.signer, e.ToSign())
	switch {
	case err != nil && ctx.Err() != nil:
		return engine.Step{}, lost(ctx, err)
	case errors.As(err, new(*PanicError)):
		return engine.Step{}, err
	case err != nil:
		return engine.Step{}, &HandshakeError{Reason: ReasonLocal, Err: err}
	}
	return explained(e.Signed(time.Now(), signature))
}

// refuse ends the handshake after the decision went against the peer, and returns
// why.
func (h *handshake) refuse(ctx context.Context, why error) error {
	reason, no := fault.Refuses(why)
	if errors.Is(why, sessionstore.ErrNotStored) { // any more
		reason, no = ReasonUnknownSession, true
	}
	if frame := h.refusal(why, reason, no); frame != nil {
		h.conn.Write(ctx, frame) // it failed anyway
	}
	var panicked *PanicError
	switch {
	case no:
		return &HandshakeError{Reason: reason, Err: why}
	case errors.As(why, &panicked):
		return panicked
	case ctx.Err() != nil:
		return lost(ctx, why)
	}
	return &HandshakeError{Reason: ReasonLocal, Err: why}
}

// refusal returns the frame that tells the peer, if there is one. An identity that is not
// accepted any more ends the session that was to go on, if the attempt counts. Nothing follows from
// what is refused for its time.
func (h *handshake) refusal(why error, reason Reason, no bool) []byte {
	var step engine.Step
	attempt, resumes := h.engine.(*engine.Resume)
	switch {
	case !no: // the decision could not be made
		step, _ = h.engine.Refuse(engine.CodeUnavailable)
	case reason == ReasonUnknownSession:
		step, _ = h.engine.Refuse(engine.CodeUnknown)
	case !resumes:
		step, _ = h.engine.Refuse(h.strangersCode(reason))
	case fault.Outdated(why):
		step, _ = h.engine.Refuse(map[Reason]engine.Code{ReasonUntrusted: engine.CodeLapsed, ReasonUnauthorized: engine.CodeStale}[reason])
	case reason == ReasonUntrusted:
		step, h.counted = attempt.Condemn(engine.CodeRefused)
	default:
		h.counted = attempt.Committable()
		step, _ = h.engine.Refuse(engine.CodeRefused)
	}
	return step.Frame
}

// strangersCode is what a client is told that begins. Whether it hears that its statement does not
// count depends on that and the clock alone.
func (h *handshake) strangersCode(reason Reason) engine.Code {
	if reason == ReasonUntrusted && h.engine.Peer().Lapsed(time.Now()) {
		return engine.CodeLapsed
	}
	return engine.CodeRefused
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
		err = fault.Explain(err)
	}
	return step, err
}
