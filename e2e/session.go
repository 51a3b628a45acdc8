package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// goodbyeTimeout bounds how long Close waits to tell the other end.
const goodbyeTimeout = 2 * time.Second

// keepBuffer is the size in bytes up to which a buffer is kept in any case. A larger
// one is kept as long as messages make use of it, so that a session that idles
// after its last small message is small.
const keepBuffer = 64 << 10

// A Session is one end of a conversation with one authenticated peer.
//
// A Session ends when either end closes it, when the connection is lost, when a
// message was tampered with, or when the context of a Send or Receive ends in the
// middle of it. From then on every call returns the same [*CloseError], and no
// message is sent any more, nor returned, but for those that had arrived before the
// other end or the network ended it.
type Session struct {
	conn   transport.Conn
	engine *engine.Session
	link   *engine.Link // its two halves are used under send and recv
	peer   *keys.PublicIdentity
	info   Info

	send half
	recv half

	ahead     ahead         // what the pump has read
	pumping   atomic.Bool   // it reads, or is about to
	receivers atomic.Int32  // Receives under way
	received  atomic.Uint32 // messages returned since the last tick

	news  news  // of acks, for Sends and Flushes that wait
	alarm alarm // for what is due while nobody calls; see tick

	sendTimeout time.Duration
	stalled     *time.Timer // runs while a Send writes

	endOnce sync.Once
	ended   chan struct{} // closed when err is set
	err     *CloseError
	hungUp  atomic.Bool // the connection is closed; from here on no key is needed

	// life is the context of a server's function. It ends when the connection is
	// closed, later than ended: a function that receives with it would otherwise
	// cut the connection before the goodbye is on its way.
	life     context.Context
	conclude context.CancelFunc
}

// half is one direction's lock, which gives way to a context, and its buffer.
type half struct {
	turn  chan struct{} // holds a token while the half is in use
	frame []byte
	drop  func() // forgets the direction's keys
}

// Info describes a session. It holds no secrets and may be logged.
type Info struct {
	Transport  transport.Info
	Protocol   string
	MaxMessage int // bytes
}

// newSession runs the handshake over conn and returns the session that it makes.
func newSession(ctx context.Context, conn transport.Conn, h *engine.Handshake, cfg Config,
	decide func(context.Context, *keys.PublicIdentity) error) (*Session, error) {
	run := handshake{conn: conn, engine: h, signer: cfg.Identity.Signer(), decide: decide}
	established, err := run.run(ctx)
	if err != nil {
		return nil, err
	}
	limit(conn, engine.MaxFrame(cfg.MaxMessage))
	link := established.Link()
	s := &Session{
		conn:     conn,
		engine:   established,
		link:     link,
		peer:     h.Peer(),
		info:     Info{conn.Info(), cfg.Protocol, cfg.MaxMessage},
		send:     half{turn: make(chan struct{}, 1), drop: link.DropSend},
		recv:     half{turn: make(chan struct{}, 1), drop: link.DropReceive},
		ahead:    ahead{some: make(chan struct{}, 1)},
		ended:    make(chan struct{}),
		conclude: func() {},

		sendTimeout: cfg.SendTimeout,
	}
	s.stalled = time.AfterFunc(math.MaxInt64, s.stall)
	s.stalled.Stop()
	s.alarm.timer = time.AfterFunc(math.MaxInt64, s.tick)
	s.alarm.timer.Stop()
	return s, nil
}

// Peer returns the identity that the other end has proved and the Verifier has
// accepted.
func (s *Session) Peer() *keys.PublicIdentity { return s.peer }

// Info returns what is known about the session and the link under it.
func (s *Session) Info() Info { return s.info }

// Close ends the session and tells the other end, in a message that no hop can
// forge, that nothing is missing. It waits a few seconds at most. Messages that the
// other end has sent and that were not received are lost: a protocol in which both
// ends talk should agree on who closes. Later calls do nothing and return nil. The
// error says that the other end could not be told.
func (s *Session) Close() error { return s.close(CodeDone) }

func (s *Session) close(code Code) error {
	if !s.end(&CloseError{Code: code}) {
		return nil
	}
	err := s.sayGoodbye(code)
	s.hangUp(transport.CodeNormal)
	if err != nil {
		return fmt.Errorf("e2e: close: the other end could not be told: %w", err)
	}
	return nil
}

func (s *Session) sayGoodbye(code Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	select {
	case s.send.turn <- struct{}{}: // after a Send that is under way
		defer s.leave(&s.send)
	case <-ctx.Done():
		return ctx.Err()
	}
	frame, err := s.link.SealClose(time.Now(), s.send.frame[:0], engine.CloseCode(code))
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, frame)
}

// enter waits for the half's turn. Nothing has changed if it returns an error.
func (s *Session) enter(ctx context.Context, h *half) error { return s.enterOr(ctx, h, nil) }

// errOther is returned by enterOr when the other thing came first.
var errOther = errors.New("e2e: something else came first")

// enterOr is enter that gives up with errOther when there is something in other.
func (s *Session) enterOr(ctx context.Context, h *half, other <-chan struct{}) error {
	if s.over() {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.turn <- struct{}{}: // free: the usual case, and by itself the cheap one
	default:
		select {
		case h.turn <- struct{}{}:
		case <-other:
			return errOther
		case <-s.ended:
			return s.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.over() {
		s.leave(h)
		return s.err
	}
	return nil
}

func (s *Session) leave(h *half) {
	<-h.turn
	if s.hungUp.Load() {
		s.forget()
	}
}

// end sets the reason for which the session ended, unless there is one, and
// reports whether it did.
func (s *Session) end(err *CloseError) (first bool) {
	s.endOnce.Do(func() {
		s.err, first = err, true
		close(s.ended)
	})
	return first
}

func (s *Session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// fail ends the session without a word to the other end, which after a forgery
// might be anybody, and returns the reason for which it ended.
func (s *Session) fail(why *CloseError) error {
	if s.end(why) {
		code := transport.CodePolicy
		if why.Err == nil {
			code = transport.CodeNormal // the other end has closed
		}
		s.hangUp(code)
	}
	return s.err
}

// hangUp closes the connection of a session that is over, and drops its keys. Not
// earlier: the goodbye needs one.
func (s *Session) hangUp(code transport.Code) {
	s.conn.Close(code, "")
	s.alarm.timer.Stop()
	s.hungUp.Store(true)
	s.conclude()
	s.engine.Forget()
	if !s.err.Remote {
		s.ahead.clear()
	}
	s.forget()
}

// forget drops the keys of a session that has hung up. A half that is in use is
// dropped by its user, when it leaves.
func (s *Session) forget() {
	for _, h := range []*half{&s.send, &s.recv} {
		select {
		case h.turn <- struct{}{}:
			h.drop()
			h.frame = nil
			<-h.turn
		default:
		}
	}
}

// keep holds on to a buffer for the next message, unless it is large and this one
// left most of it empty.
func (h *half) keep(frame []byte) {
	if h.frame = frame; cap(frame) > keepBuffer && len(frame) < cap(frame)/4 {
		h.frame = nil
	}
}

// Format prints no secrets, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "e2e.Session(%s, peer %s)", s.info.Protocol, s.peer.Fingerprint())
}
