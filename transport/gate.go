//go:build !js

package transport

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
)

// GateOptions says what a [Gate] lets through. Nil means the zero value.
type GateOptions struct {
	// MaxConns is how many connections there may be at a time. The last tenth of
	// them is kept for addresses that have none yet, so that a few greedy ones
	// do not lock out the others. Zero means 10,000, a negative value no limit.
	MaxConns int

	// MaxConnsPerAddress is the same for one client: one IPv4 address or one IPv6
	// /64. Behind a proxy all clients have its address, unless the AcceptOptions
	// say which hops to trust. Zero means 64, a negative value no limit.
	MaxConnsPerAddress int

	// ConnRate bounds how often one client may connect, refused attempts not
	// counted. Zero means 10 a second, 64 at once; a negative PerSecond no limit.
	ConnRate Rate

	// MessageRate and ByteRate bound what one connection receives: messages, and
	// bytes with all framing, so that pings and empty fragments count too. Whoever
	// sends more is slowed down, not cut: the connection is not read meanwhile. A
	// Burst should hold what the largest message takes. Zero means no limit.
	MessageRate Rate
	ByteRate    Rate

	// WriteTimeout is how long a peer may leave what is sent to it untaken: one that
	// takes less than 64 KiB of a longer message in that time, or not the whole of
	// a shorter one, is cut, and the error matches ErrSlowPeer. Zero means 30
	// seconds, a negative value no limit.
	WriteTimeout time.Duration

	// IdleTimeout closes connections on which no message was completed for so long,
	// in either direction, with CodeGoingAway; the error matches ErrIdle. Pings
	// do not count. Zero means no limit.
	IdleTimeout time.Duration

	// DrainLead is how long Drain goes on admitting connections after Ready has
	// begun to say no, until load balancers have noticed. DrainSpread is over how
	// much time it then spreads the closing. Zero means 5 and 10 seconds, a negative
	// value no time.
	DrainLead, DrainSpread time.Duration

	// Notify is called with each connection that has ended and with each that was
	// refused, in order, by a goroutine of its own. If it is slow, events are left
	// out, and the next one says how many. [LogTo] makes one of a slog.Logger. Nil logs
	// "connection refused" to [slog.Default] with client, outcome, status and count: for
	// each outcome one line a minute at most, about the latest, with their number; at
	// level warn, and info for handshake and draining. Silence is a function that does
	// nothing.
	Notify func(ConnEvent)
}

func (o *GateOptions) withDefaults() GateOptions {
	var opts GateOptions
	if o != nil {
		opts = *o
	}
	if opts.Notify == nil {
		opts.Notify = logRefused(slog.Default())
	}
	setDefault(&opts.MaxConns, 10_000)
	setDefault(&opts.MaxConnsPerAddress, 64)
	setDefault(&opts.WriteTimeout, 30*time.Second)
	setDefault(&opts.DrainLead, 5*time.Second)
	setDefault(&opts.DrainSpread, 10*time.Second)
	if opts.ConnRate.PerSecond == 0 {
		opts.ConnRate = Rate{PerSecond: 10, Burst: 64}
	}
	return opts
}

func setDefault[T int | time.Duration](field *T, standard T) {
	if *field == 0 {
		*field = standard
	}
}

// A Gate is what a server that strangers can reach has between them and its
// handlers. It bounds connections and what they may do, cuts peers that do not
// read, counts, tells of each connection that has ended, and drains:
//
//	gate := transport.NewGate(nil)
//	opts := &transport.AcceptOptions{Gate: gate}    // of every Accept, or of an e2e.ServerConfig
//	http.Handle("/healthz", gate.Live())
//	http.Handle("/readyz", gate.Ready())
//	...
//	err := gate.Drain(ctx)                          // when the process shall end
//
// Handlers that share a Gate share its limits. A Gate keeps state of a bounded
// number of addresses, starts no goroutine for a connection and adds no timer to
// a message.
type Gate struct {
	opts  GateOptions
	start time.Time
	tell  notify.Notifier[ConnEvent]

	pauses atomic.Int64 // times that a connection was slowed down

	drained chan struct{} // closed when the gate refuses everybody and holds nobody

	mu        sync.Mutex // guards what follows
	addresses addresses
	held      int                // connections that were admitted and have not ended
	open      map[*meter]*wsConn // those of them that were upgraded
	sweeping  bool               // a timer will run sweep
	unready   bool               // Ready says no
	closing   bool               // everybody is refused
	totals    totals
}

// NewGate returns a Gate, which needs no Close.
func NewGate(opts *GateOptions) *Gate {
	g := &Gate{
		opts:      opts.withDefaults(),
		start:     time.Now(),
		drained:   make(chan struct{}),
		addresses: make(addresses),
		open:      make(map[*meter]*wsConn),
		totals:    totals{ended: make(map[outcome]uint64)},
	}
	g.tell = notify.Notifier[ConnEvent]{Name: "transport: GateOptions.Notify", Call: g.opts.Notify, Note: g.noteMissed, Room: maxConnEvents}
	return g
}

// now is the time since the Gate was made. It never goes back.
func (g *Gate) now() time.Duration { return time.Since(g.start) }

// A denial is why a Gate does not let somebody in, and what it answers.
type denial struct {
	outcome outcome
	status  int
	told    string
}

var (
	deniedDraining = &denial{outcomeDraining, http.StatusServiceUnavailable, "this server is going away"}
	deniedFull     = &denial{outcomeFull, http.StatusServiceUnavailable, "no room for another connection now"}
	deniedAddress  = &denial{outcomeAddress, http.StatusTooManyRequests, "too many connections from this address"}
	deniedRate     = &denial{outcomeRate, http.StatusTooManyRequests, "this address connects too often"}
)

// admit makes room for a connection of a client. A nil Gate admits everybody and
// returns nil.
func (g *Gate) admit(client string) (*meter, *refusal) {
	if g == nil {
		return nil, nil
	}
	m := newMeter(g, client)
	no, wait := g.reserve(m)
	if no == nil {
		return m, nil
	}
	g.conclude(m, ConnEvent{Outcome: string(no.outcome), Status: no.status}, false)
	return nil, &refusal{status: no.status, told: no.told, problem: m.client + " was " + ErrRefused.Error() + ": " + no.told, cause: ErrRefused,
		header: http.Header{"Retry-After": {strconv.Itoa(int((wait + time.Second - 1) / time.Second))}}}
}

// reserve counts a connection in, or says why not and for how long not.
func (g *Gate) reserve(m *meter) (*denial, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if no := g.noRoom(m.block); no != nil {
		return no, 5*time.Second + rand.N(5*time.Second) // so that they do not all come back at once
	}
	if m.block != "" {
		if wait := g.addresses.enter(m.block, g.now(), g.opts.ConnRate, g.held); wait > 0 {
			return deniedRate, wait
		}
	}
	g.held++
	return nil, 0
}

// noRoom says why there is no room for a connection from block, or nil.
func (g *Gate) noRoom(block string) *denial {
	limit, theirs := g.opts.MaxConns, g.addresses[block].conns
	switch {
	case g.closing:
		return deniedDraining
	case limit > 0 && g.held >= limit:
		return deniedFull
	case block == "":
		return nil
	case g.opts.MaxConnsPerAddress > 0 && theirs >= g.opts.MaxConnsPerAddress:
		return deniedAddress
	case limit > 0 && theirs > 0 && g.held >= limit-limit/10:
		return deniedFull
	}
	return nil
}

// opened is called when a client that was admitted has its connection.
func (g *Gate) opened(m *meter, c *wsConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen.movedAt, m.seen.messageAt = g.now(), g.now()
	g.open[m] = c
	g.totals.accepted++
	g.startSweeps()
	if g.closing { // it was admitted before
		go c.drain()
	}
}

// conclude is called when a connection has ended, or when it is clear that a client
// will have none. It fills in the event and hands it on, once for each client. held
// says that reserve has counted it in.
func (g *Gate) conclude(m *meter, e ConnEvent, held bool) {
	e.Client, e.Duration = m.client, g.now()-m.arrived
	e.Start = time.Now().Add(-e.Duration) // by the clock as it is now: it may have been set since the Gate was made
	e.BytesIn, e.BytesOut = m.traffic.bytesIn.Load(), m.traffic.bytesOut.Load()
	e.MessagesIn, e.MessagesOut = m.traffic.messagesIn.Load(), m.traffic.messagesOut.Load()
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.concluded {
		return
	}
	m.concluded = true
	g.totals.ended[outcome(e.Outcome)]++
	if e.Accepted() {
		g.totals.lasted += e.Duration
		g.totals.add(&m.traffic)
	}
	if held {
		g.release(m)
	}
	g.tell.Emit(e)
}

// release counts a connection out. The caller holds g.mu.
func (g *Gate) release(m *meter) {
	delete(g.open, m)
	g.held--
	if m.block != "" {
		g.addresses.leave(m.block, g.now())
	}
	if g.closing && g.held == 0 {
		close(g.drained)
	}
}

// noteMissed counts events that were left out before e.
func (g *Gate) noteMissed(e *ConnEvent, missed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.totals.missed += uint64(missed)
	e.Missed = missed
}
