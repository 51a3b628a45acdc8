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
	// MaxConns limits the connections at a time. The last tenth is kept for addresses that have
	// none yet, so that a few greedy ones do not lock out the others. Zero means 10,000, a negative
	// value no limit.
	MaxConns int

	// MaxConnsPerAddress limits the connections of one client at a time. A client is one IPv4
	// address or one IPv6 /64. Behind a proxy all clients have the proxy's address, unless
	// AcceptOptions.TrustedHops lists the proxy. Zero means 64, a negative value no limit.
	MaxConnsPerAddress int

	// ConnRate limits how often one client may connect. Refused attempts do not count. Zero means
	// 10 a second, 64 at once; a negative PerSecond means no limit.
	ConnRate Rate

	// MessageRate and ByteRate limit what one connection receives: messages, and bytes with all
	// framing, so that pings and empty fragments count too. A client that sends more is slowed
	// down, not cut: the Gate does not read from its connection meanwhile. Burst should be as large
	// as the largest message. Zero means no limit.
	MessageRate Rate
	ByteRate    Rate

	// WriteTimeout is how long a peer may take nothing of what is sent to it. The Gate cuts a peer
	// that takes less than 64 KiB of a longer message in that time, or not the whole of a shorter
	// one, and the error matches ErrSlowPeer. Zero means 30 seconds, a negative value no limit.
	WriteTimeout time.Duration

	// IdleTimeout closes a connection with CodeGoingAway if no message was completed for so long,
	// in either direction; the error matches ErrIdle. Pings do not count. Zero means no limit.
	IdleTimeout time.Duration

	// DrainLead is how long Drain still admits connections after Ready has begun to answer 503, so
	// that load balancers notice. DrainSpread is the time over which Drain then spreads the
	// closing. Zero means 5 and 10 seconds, a negative value no time.
	DrainLead, DrainSpread time.Duration

	// Notify is called with each connection that has ended and each client that was refused, in
	// order, on its own goroutine. If it is slow, events are dropped, and the next one says how
	// many. [LogTo] makes a Notify of a slog.Logger. Nil logs "connection refused" to
	// [slog.Default] with client, outcome, status and count: for each outcome at most one line a
	// minute, about the latest client, with their number. The level is warn, and info for handshake
	// and draining. For silence, set a function that does nothing.
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

// A Gate stands between strangers and a server's handlers. It limits connections and what they may
// do, cuts peers that do not read, counts, reports each connection that has ended, and drains:
//
//	gate := transport.NewGate(nil)
//	opts := &transport.AcceptOptions{Gate: gate}    // of every Accept, or of an e2e.ServerConfig
//	http.Handle("/healthz", gate.Live())
//	http.Handle("/readyz", gate.Ready())
//	...
//	err := gate.Drain(ctx)                          // before the process ends
//
// Handlers that share a Gate share its limits. A Gate keeps state for a bounded number of
// addresses, starts no goroutine for a connection and adds no timer to a message.
type Gate struct {
	opts   GateOptions
	start  time.Time
	events notify.Notifier[ConnEvent]

	pauses atomic.Int64 // how often a connection was slowed down

	drained chan struct{} // closed when the gate refuses everybody and holds no connection

	mu        sync.Mutex // guards what follows
	addresses addresses
	held      int                // connections that were admitted and have not ended
	open      map[*meter]*wsConn // those of them that are open WebSockets
	sweeping  bool               // a timer will call sweep
	unready   bool               // Ready answers 503
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
	g.events = notify.Notifier[ConnEvent]{Name: "transport: GateOptions.Notify", Call: g.opts.Notify, Note: g.noteMissed, Room: maxConnEvents}
	return g
}

// now returns the time since the Gate was made. It never goes back.
func (g *Gate) now() time.Duration { return time.Since(g.start) }

// A denial says why a Gate refuses a client, and how it answers.
type denial struct {
	outcome    outcome
	status     int
	clientText string
}

var (
	deniedDraining = &denial{outcomeDraining, http.StatusServiceUnavailable, "this server is going away"}
	deniedFull     = &denial{outcomeFull, http.StatusServiceUnavailable, "no room for another connection now"}
	deniedAddress  = &denial{outcomeAddress, http.StatusTooManyRequests, "too many connections from this address"}
	deniedRate     = &denial{outcomeRate, http.StatusTooManyRequests, "this address connects too often"}
)

// admit reserves a connection for a client. A nil Gate admits everybody and returns nil.
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
	return nil, &refusal{status: no.status, clientText: no.clientText, problem: m.client + " was " + ErrRefused.Error() + ": " + no.clientText, cause: ErrRefused,
		header: http.Header{"Retry-After": {strconv.Itoa(int((wait + time.Second - 1) / time.Second))}}}
}

// reserve counts a connection in, or returns why not and how long the client should wait.
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

// noRoom returns why there is no room for a connection from block, or nil.
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

// opened records that an admitted client has its connection.
func (g *Gate) opened(m *meter, c *wsConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen.movedAt, m.seen.messageAt = g.now(), g.now()
	g.open[m] = c
	g.totals.accepted++
	g.startSweeps()
	if g.closing { // admitted just before
		go c.drain()
	}
}

// conclude records that a connection has ended, or that a client gets none. It completes the event
// and emits it, once for each client. held says that reserve has counted the client in.
func (g *Gate) conclude(m *meter, e ConnEvent, held bool) {
	e.Client, e.Duration = m.client, g.now()-m.arrived
	e.Start = time.Now().Add(-e.Duration) // by today's clock, which may have been set since the Gate was made
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
	g.events.Emit(e)
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

// noteMissed counts the events that were dropped before e.
func (g *Gate) noteMissed(e *ConnEvent, missed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.totals.missed += uint64(missed)
	e.Missed = missed
}
