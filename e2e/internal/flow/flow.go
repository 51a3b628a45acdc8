package flow

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A Flow moves the messages of one session.
type Flow struct {
	engine   *engine.Session
	user     User
	cfg      Config
	survives bool // a lost line is not the end of the session

	line  atomic.Pointer[Line] // nil while there is none
	hop   atomic.Pointer[Hop]  // that of the line, or of the last one
	moved Broadcast            // a line was lost or found
	acked Broadcast            // the peer has acknowledged something; Submit and Arrived wait for it
	send  lane                 // serves all lines, one after the other
	recv  lane
	sign  *lane // the turn to sign; nil where nothing is signed

	Inbox     Inbox         // what the pump has read
	pumping   atomic.Bool   // the pump reads, or is about to
	receivers atomic.Int32  // Receives under way
	received  atomic.Uint32 // messages returned since the last tick
	wanted    atomic.Int32  // Wants that are not undone: the pump reads

	refusing    Worker[refusal]
	refusedHere atomic.Uint64                    // messages of the peer
	refusals    [engine.NumReasons]atomic.Uint32 // records of the peer

	alarm   alarm    // rings when something is due while nobody calls; see tick
	stalled watchdog // watches writes
	Limits  Limits

	finishOnce sync.Once
	finishing  chan struct{} // closed when Finish is called

	endOnce sync.Once
	ended   chan struct{} // closed when err is set
	err     *fault.CloseError
	hungUp  atomic.Bool // the connection is closed; from here on no key is needed

	life     context.Context
	conclude context.CancelFunc // ends life

	spool *spool // nil without a store
}

// Config is what a flow needs of the session's configuration. Every field is set.
type Config struct {
	Identity    *keys.Identity // signs messages, where they are signed
	MaxMessage  int            // bytes
	Window      int            // bytes
	SendTimeout time.Duration

	IdleTimeout, ParkTimeout, MaxAge time.Duration // see Limits
}

// A User is the owner of a flow's messages: the session. Any goroutine may call it.
type User interface {
	// Deliver takes a message for a Call or a stream: an answer, a refusal, a part of a stream.
	// The body is valid until Deliver returns. An error ends the read.
	Deliver(m Incoming) error

	// Streaming reports whether the peer has streams under way, so that more parts follow.
	Streaming() bool

	// Lost is called when the flow has lost a line and the session goes on.
	Lost(why *fault.CloseError)

	// Found is called with the connection when the flow has got another line, before anything is
	// sent on it. It is called with nil if the line came too late or was overtaken.
	Found(on transport.Conn)

	// Decide is called for a record that is not for the application: engine.Rekeyed,
	// engine.Updated or engine.Answered. It must not wait.
	Decide(on *Line, what engine.Event)

	// Renew is called while this end's identity differs from the one that the peer last learned.
	Renew()

	// Tick is called now and then while nobody uses the session.
	Tick()

	// Ended is called once, when the session has ended. The connection may still be open.
	Ended(why *fault.CloseError)

	// HungUp is called once, after Ended, when the connection is closed.
	HungUp()
}

// New returns the flow of a session, without a line. The flow's life has the values of parent, but does
// not end with it.
func New(parent context.Context, e *engine.Session, user User, cfg Config) *Flow {
	f := &Flow{
		engine:    e,
		user:      user,
		cfg:       cfg,
		send:      newLane(),
		recv:      newLane(),
		Inbox:     Inbox{some: make(chan struct{}, 1), window: cfg.Window},
		ended:     make(chan struct{}),
		finishing: make(chan struct{}),
	}
	if e.Proof() == engine.ProofEd25519 {
		sign := newLane()
		f.sign = &sign
	}
	f.life, f.conclude = context.WithCancel(context.WithoutCancel(parent))
	f.stalled.start(cfg.SendTimeout, f.stuck)
	f.alarm.timer = time.AfterFunc(math.MaxInt64, f.tick)
	f.alarm.timer.Stop()
	f.Limits.idle, f.Limits.park, f.Limits.age = cfg.IdleTimeout, cfg.ParkTimeout, cfg.MaxAge
	f.Limits.born = e.Born()
	f.Limits.active.from = time.Now()
	return f
}

// Survive lets the session outlive its lines: after User.Lost the user finds another one. Survive must be
// called before Start.
func (f *Flow) Survive() { f.survives = true }

// Start starts the flow's clocks. The limits apply to sessions that outlive their lines; others end with
// their line.
func (f *Flow) Start() {
	f.alarm.set(time.Now().Add(idleReader))
	if !f.survives {
		f.Limits.idle, f.Limits.park, f.Limits.age = 0, 0, 0
	}
	f.Limits.start(f.expire)
	if f.Over() { // others know the session, and may have ended it
		f.Limits.stop()
	}
}

// Life returns the context for everything that the session does by itself, and for a server's function.
// It ends when the connection is closed, which is later than Done: a function that receives with it would
// otherwise cut the connection before the goodbye is sent.
func (f *Flow) Life() context.Context { return f.life }

// Done returns a channel that is closed when the session has ended.
func (f *Flow) Done() <-chan struct{} { return f.ended }

// Over reports whether the session has ended.
func (f *Flow) Over() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// Err returns how the session has ended, or nil.
func (f *Flow) Err() *fault.CloseError {
	if f.Over() {
		return f.err
	}
	return nil
}

// Line returns the session's line, or nil.
func (f *Flow) Line() *Line { return f.line.Load() }

// Hop returns what is known of the connection under the session, or of the last one.
func (f *Flow) Hop() Hop {
	if h := f.hop.Load(); h != nil {
		return *h
	}
	return Hop{}
}

// Moved returns a channel that is closed when a line is next lost or found.
func (f *Flow) Moved() <-chan struct{} { return f.moved.Next() }

// Refused returns how many messages of the peer this end has refused.
func (f *Flow) Refused() uint64 { return f.refusedHere.Load() }

// BadRecords returns how many records of the peer were not accepted, by reason.
func (f *Flow) BadRecords() (n [engine.NumReasons]uint64) {
	for reason := range f.refusals {
		n[reason] = uint64(f.refusals[reason].Load())
	}
	return n
}
