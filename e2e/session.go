package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/transport"
)

// goodbyeTimeout bounds how long Close waits to tell the other end.
const goodbyeTimeout = 2 * time.Second

// A Session is one end of a conversation with one authenticated peer.
//
// Its connections come and go: while there is none a client dials again as
// [Config.Retry] says, a [Server] waits, and Send and Receive wait too. What is lost
// with a connection is sent again, so messages arrive once and in order all the same.
// A session made with [Connect] or [Accept] has one connection, and ends with it.
//
// A Session ends when either end closes it, when it cannot go on, or when the other
// end breaks the rules. From then on every call returns the same [*CloseError], and no
// message is sent any more, nor returned, but for those that had arrived before the
// other end or the network ended it.
type Session struct {
	engine *engine.Session
	info   atomic.Pointer[Info]

	line    atomic.Pointer[line]  // nil while there is none
	moved   news                  // of a line lost or found
	lost    func(why *CloseError) // what follows when a line is lost; nil: the session ends
	found   func()                // what follows when there is another
	renewed func()                // what follows when a rekey has changed the resume secret

	send half // of all lines, one after the other
	recv half

	ahead     ahead         // what the pump has read
	pumping   atomic.Bool   // it reads, or is about to
	receivers atomic.Int32  // Receives under way
	received  atomic.Uint32 // messages returned since the last tick
	wanted    atomic.Int32  // Calls and Serves under way: the session reads by itself

	calls        calls
	streams      streams
	refusing     feed[refused]
	telling      feed[*RefusedError]
	signing      *half // the turn to sign; nil where nothing is signed
	onRefused    func(*Session, *RefusedError)
	window       int
	refusedHere  atomic.Uint64 // messages of the other end
	refusedThere atomic.Uint64 // messages of this end

	news  news  // of acks, for Sends and Flushes that wait
	alarm alarm // for what is due while nobody calls; see tick

	sendTimeout time.Duration
	stalled     watch // over writes

	party   party
	updates updates
	grantMu sync.Mutex
	grant   Grant // guarded by grantMu; at a client, without claims

	limits limits
	events *events

	refusals [engine.NumReasons]atomic.Uint32 // records

	endOnce sync.Once
	ended   chan struct{} // closed when err is set
	err     *CloseError
	hungUp  atomic.Bool // the connection is closed; from here on no key is needed

	// life is the context of a server's function, and of a client's dials. It ends when
	// the connection is closed, later than ended: a function that receives with it
	// would otherwise cut the connection before the goodbye is on its way.
	life     context.Context
	conclude context.CancelFunc

	place place // at a server

	keeper   *keeper // nil without a store
	restored bool
	joining  *line // the first line of a session that was restored, until the function runs
}

// half is one direction's lock, which gives way to a context, and its buffer.
type half struct {
	turn  chan struct{} // holds a token while the half is in use
	frame []byte        // memory for one frame, which is a piece of a message at most
	seen  string        // type of the last message received
	plain []byte        // memory for what a pump reads, while there are streams
}

// Info describes a session. It holds no secrets and may be logged.
type Info struct {
	Transport  transport.Info
	ID         string // names the session in logs, the same at both ends: 16 hexadecimal digits
	HopTLS     HopTLS // what the ends have found out about the TLS of Transport
	Protocol   string
	MaxMessage int // bytes
}

// newSession returns a session with its first line.
func newSession(conn transport.Conn, made *engine.Handshake, grant Grant, own party, events *events) *Session {
	s := bareSession(made.Session(), own, events)
	s.use(newLine(conn, s.engine.Link(), made.Hop(), *own.cfg))
	s.entitle(s.engine.Link(), grant)
	return s
}

// bareSession returns a session that has no line yet.
func bareSession(established *engine.Session, own party, events *events) *Session {
	cfg := own.cfg
	s := &Session{
		engine:  established,
		party:   own,
		send:    half{turn: make(chan struct{}, 1)},
		recv:    half{turn: make(chan struct{}, 1)},
		ahead:   ahead{some: make(chan struct{}, 1), window: cfg.Window},
		ended:   make(chan struct{}),
		events:  events,
		found:   func() {},
		renewed: func() {},

		sendTimeout: cfg.SendTimeout,
		window:      cfg.Window,
		onRefused:   cfg.Refused,
	}
	if established.Proof() == engine.ProofEd25519 {
		s.signing = &half{turn: make(chan struct{}, 1)}
	}
	s.life, s.conclude = context.WithCancel(context.Background())
	s.stalled.start(cfg.SendTimeout, s.stuck)
	s.alarm.timer = time.AfterFunc(math.MaxInt64, s.tick)
	s.alarm.timer.Stop()
	s.limits.idle, s.limits.park, s.limits.age = cfg.IdleTimeout, cfg.ParkTimeout, cfg.MaxAge
	s.limits.born = established.Born()
	s.limits.touch(time.Now())
	s.info.Store(&Info{ID: logID(established.ID()), Protocol: cfg.Protocol, MaxMessage: cfg.MaxMessage})
	return s
}

// begun starts a new session's clocks.
func (s *Session) begun() *Session {
	s.alarm.set(time.Now().Add(idleReader))
	if s.line.Load() != nil { // else it is told with the first one
		s.events.tell(Event{State: StateSecure, Session: s, Transport: s.Info().Transport})
	}
	if s.lost == nil { // the others are for sessions that outlive a connection
		s.limits.idle, s.limits.park, s.limits.age = 0, 0, 0
	}
	s.limits.start(s.expire)
	if s.keeper != nil {
		s.keeper.watch()
	}
	return s
}

// logID returns what may be shown of a session's id, from which that cannot be found.
func logID(id [32]byte) string {
	hash := sha256.Sum256(label.SessionLogID.With(id[:]))
	return hex.EncodeToString(hash[:8])
}

// entitle is told what the client's credentials are good for, as was found out on a
// link. It counts for nothing where another link has been made since: with that came
// other credentials.
func (s *Session) entitle(on *engine.Link, g Grant) bool {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	if s.engine.Link() != on {
		return false
	}
	s.grant = g
	s.limits.setExpiry(g.Expires)
	s.renewBefore(g.Expires)
	return true
}

// Peer returns the identity that the other end has proved and the Verifier has
// accepted, as of the last connection.
func (s *Session) Peer() Peer {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	return Peer{s.engine.Peer(), s.grant.Claims}
}

// Info returns what is known about the session and the link under it, or the last one
// while there is none.
func (s *Session) Info() Info {
	return *s.info.Load()
}

// Done returns a channel that is closed when the session has ended. Then Send and Receive
// say how.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Close ends the session and tells the other end, in a message that no hop can
// forge, that nothing is missing. It waits a few seconds at most. Messages that the
// other end has sent and that were not received are lost: a protocol in which both
// ends talk should agree on who closes. Later calls do nothing and return nil. The
// error says that the other end could not be told.
func (s *Session) Close() error { return s.close(CodeDone) }

func (s *Session) close(code Code) error { return s.closeFor(code, &CloseError{Code: code}) }

// closeFor ends the session, with a word to the other end.
func (s *Session) closeFor(code Code, why *CloseError) error {
	if !s.end(why) {
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
	l := s.line.Load()
	if l == nil {
		return errUnlinked
	}
	if err := s.settle(ctx, l); err != nil {
		return err
	}
	frame, err := l.link.SealClose(time.Now(), s.send.frame[:0], engine.CloseCode(code))
	if err != nil {
		return err
	}
	return l.conn.Write(ctx, frame)
}

// settle acknowledges what has arrived, ahead of the goodbye: the other end may wait to
// know, and nothing follows that could tell it. What a stored session acknowledges has to
// be stored, and is not. It is called under send.
func (s *Session) settle(ctx context.Context, l *line) error {
	if s.keeper != nil {
		return nil
	}
	s.engine.Settle()
	frame, err := l.link.Control(time.Now(), s.send.frame[:0])
	if err != nil || len(frame) == 0 {
		return err
	}
	return l.conn.Write(ctx, frame)
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
		if !err.Stored && (err.Remote || err.Err != nil || err.Code != CodeDone) {
			first, messages := s.engine.Abandon()
			err.Gap = newGap(first, messages, s.signs(engine.KindMessage))
		}
		s.err, first = err, true
		close(s.ended)
		s.events.tell(Event{State: StateClosed, Session: s, Err: err})
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
	if l := s.line.Load(); l != nil {
		l.close(code)
	}
	s.alarm.timer.Stop()
	s.stalled.stop()
	s.limits.stop()
	s.stopRenewal()
	s.hungUp.Store(true)
	s.conclude()
	s.engine.Forget()
	if !s.err.Remote {
		s.ahead.clear()
	}
	s.forget()
	if s.keeper != nil {
		s.keeper.end(s.err.Stored)
	}
}

// goAway ends the session because this program ends. Where it is stored the other end is
// told nothing, and goes on with another program.
func (s *Session) goAway() error {
	if s.keeper == nil {
		return s.close(CodeGoingAway)
	}
	s.limits.leave(time.Now())
	ctx, cancel := context.WithTimeout(s.life, goodbyeTimeout)
	defer cancel()
	s.keeper.save(ctx, true) // so that what was taken does not come again; if it fails, some does
	if s.end(&CloseError{Code: CodeGoingAway, Stored: true}) {
		s.hangUp(transport.CodeGoingAway)
	}
	return nil
}

// Restored reports whether the session was begun in another process, or in this one before
// it was taken over by another: what its application knew there is not here.
func (s *Session) Restored() bool { return s.restored }

// forget drops the keys of a session that has hung up. A half that is in use is
// dropped by its user, when it leaves.
func (s *Session) forget() {
	l := s.line.Load()
	for _, h := range []*half{&s.send, &s.recv} {
		select {
		case h.turn <- struct{}{}:
			if l != nil {
				l.drop(h == &s.send)
			}
			h.frame, h.plain = nil, nil
			<-h.turn
		default:
		}
	}
}

// Format prints no secrets, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "e2e.Session(%s, peer %s)", s.party.cfg.Protocol, s.Peer().Fingerprint())
}
