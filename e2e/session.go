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

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

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
	moved   broadcast             // of a line lost or found
	lost    func(why *CloseError) // what follows when a line is lost; nil: the session ends
	found   func()                // what follows when there is another
	renewed func()                // what follows when a rekey has changed the resume secret

	send lane // of all lines, one after the other
	recv lane

	inbox     inbox         // what the pump has read
	pumping   atomic.Bool   // it reads, or is about to
	receivers atomic.Int32  // Receives under way
	received  atomic.Uint32 // messages returned since the last tick
	wanted    atomic.Int32  // Calls and Serves under way: the session reads by itself

	calls        calls
	streams      *streams.Streams
	refusing     feed[refused]
	telling      feed[*RefusedError]
	signing      *lane // the turn to sign; nil where nothing is signed
	onRefused    func(*Session, *RefusedError)
	doorbell     doorbell // of what it would be told
	window       int
	refusedHere  atomic.Uint64 // messages of the other end
	refusedThere atomic.Uint64 // messages of this end

	news  broadcast // of acks, for Sends and Flushes that wait
	alarm alarm     // for what is due while nobody calls; see tick

	sendTimeout time.Duration
	stalled     watch // over writes

	party    localEnd
	updates  updates
	reminder *reminder   // nil at a Server, which has one for all
	follower *follower   // nil at a server, which has one for all
	asked    atomic.Bool // a follower's question is not answered yet

	grantMu sync.Mutex // guards what follows
	peer    Peer       // as it was accepted last
	expires time.Time  // of the client's credentials; zero where they do not expire

	limits limits
	events *events

	refusals [engine.NumReasons]atomic.Uint32 // records

	finishOnce sync.Once
	finishing  chan struct{} // closed when Close is called

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

	keeper   *vault.Keeper // nil without a store
	spool    *spool        // nil without a store
	restored bool
	joining  *line // the first line of a session that was restored, until the function runs
}

// lane is one direction's lock, which gives way to a context, and its buffer.
type lane struct {
	turn  chan struct{} // holds a token while the lane is in use
	frame []byte        // memory for one frame, which is a piece of a message at most
	seen  string        // type of the last message received
	plain []byte        // memory for what a pump reads, while there are streams
	begun []byte        // what has come of a message on the lines before
	moved uint64        // how far what this end sends had got when the other end told it last
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
func newSession(conn transport.Conn, made *engine.Handshake, grant Grant, own localEnd, events *events) *Session {
	s := bareSession(made.Session(), own, events)
	s.use(newLine(conn, s.engine.Link(), made.Hop(), *own.cfg))
	s.entitle(s.engine.Link(), made.Peer(), grant)
	return s
}

// bareSession returns a session that has no line yet.
func bareSession(established *engine.Session, own localEnd, events *events) *Session {
	cfg := own.cfg
	s := &Session{
		engine:    established,
		party:     own,
		send:      lane{turn: make(chan struct{}, 1)},
		recv:      lane{turn: make(chan struct{}, 1)},
		inbox:     inbox{some: make(chan struct{}, 1), window: cfg.Window},
		ended:     make(chan struct{}),
		finishing: make(chan struct{}),
		events:    events,
		peer:      Peer{PublicIdentity: established.Peer()},
		found:     func() {},
		renewed:   func() {},

		sendTimeout: cfg.SendTimeout,
		window:      cfg.Window,
		onRefused:   cfg.Refused,
	}
	if established.Proof() == engine.ProofEd25519 {
		s.signing = &lane{turn: make(chan struct{}, 1)}
	}
	if established.Client() {
		s.reminder = reminderOf(own.cfg.Identity, "client")
	}
	s.life, s.conclude = context.WithCancel(context.Background())
	s.streams = streams.New(streamCarrier{s}, s.life, streams.Limits{Window: cfg.Window, MaxMessage: cfg.MaxMessage})
	s.stalled.start(cfg.SendTimeout, s.stuck)
	s.alarm.timer = time.AfterFunc(math.MaxInt64, s.tick)
	s.alarm.timer.Stop()
	s.limits.idle, s.limits.park, s.limits.age = cfg.IdleTimeout, cfg.ParkTimeout, cfg.MaxAge
	s.limits.born = established.Born()
	s.limits.active.from = time.Now()
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
	if s.reminder != nil && s.party.cfg.KeepAlive < 0 {
		s.remindNowAndThen()
	} else {
		s.remind()
	}
	if s.over() { // since others know it
		s.limits.stop()
	}
	if s.keeper != nil {
		s.keeper.Watch()
	}
	if s.restored {
		s.interrupted()
	}
	return s
}

// logID returns what may be shown of a session's id, from which that cannot be found.
func logID(id [32]byte) string {
	hash := sha256.Sum256(label.SessionLogID.With(id[:]))
	return hex.EncodeToString(hash[:8])
}

// entitle is told who the peer is by now, and what the client's credentials are good for,
// as was accepted on a link. It counts for nothing where another link has been made since:
// with that came another identity and other credentials.
func (s *Session) entitle(on *engine.Link, peer *keys.PublicIdentity, g Grant) bool {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	if s.engine.Link() != on {
		return false
	}
	s.peer, s.expires = Peer{peer, g.Claims}, g.Expires
	s.limits.setExpiry(g.Expires)
	s.renewBefore(g.Expires)
	return true
}

// recognize is entitle for a server, whose identity is another by now.
func (s *Session) recognize(on *engine.Link, peer *keys.PublicIdentity) {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	if s.engine.Link() == on {
		s.peer.PublicIdentity = peer
	}
}

// Peer returns the identity that the other end has proved and the Verifier has
// accepted, and what [ServerConfig.Authenticate] has granted: both as of the last connection, or
// of what the other end has told since. What it has told and nobody has accepted yet is
// not in it.
func (s *Session) Peer() Peer {
	s.grantMu.Lock()
	defer s.grantMu.Unlock()
	return s.peer
}

// Info returns what is known about the session and the link under it, or the last one
// while there is none.
func (s *Session) Info() Info {
	return *s.info.Load()
}

// Done returns a channel that is closed when the session has ended. Then Send and Receive
// say how.
func (s *Session) Done() <-chan struct{} { return s.ended }

// enter waits for the lane's turn. Nothing has changed if it returns an error.
func (s *Session) enter(ctx context.Context, h *lane) error { return s.enterOr(ctx, h, nil) }

// errOther is returned by enterOr when the other thing came first.
var errOther = errors.New("e2e: something else came first")

// enterOr is enter that gives up with errOther when there is something in other.
func (s *Session) enterOr(ctx context.Context, h *lane, other <-chan struct{}) error {
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

func (s *Session) leave(h *lane) {
	<-h.turn
	if s.hungUp.Load() {
		s.forget()
	}
}

func (s *Session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Restored reports whether the session was begun in another process, or in this one before
// it was taken over by another: what its application knew there is not here.
func (s *Session) Restored() bool { return s.restored }

// Format prints no secrets, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "e2e.Session(%s, peer %v)", fault.QuoteProtocol(s.party.cfg.Protocol), s.Peer())
}
