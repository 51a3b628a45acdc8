// Package lobby decides about the connections of a server that have proved nothing yet:
// which of them may stay, whose turn it is, and who is told to come back later.
//
// The whole rule: A connection is a newcomer until its first frame has come. That frame
// makes it a stranger, who wants a session, or a returner, who holds the secret of a session
// and goes on with it. Strangers need one of so many slots, and wait for one in a line of
// their address; the lines take turns. Nobody who makes progress loses anything. Who is
// silent although it is his turn to send makes room for others: a newcomer at once where all
// room is taken, a stranger once he has been silent for longer than those who got in lately,
// a returner once there are too many attempts for his session. In each case it is the one who
// has been silent longest, of the same address (or session) if that has more than its share.
// What has to be computed for any of them waits for a turn of the processors, and who is
// nearest to a session comes first. Whoever finds no room is told when to come back, at the
// rate at which the server computes. An address whose first frames keep leading to nothing is
// slowed down, not refused.
package lobby

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/netblock"
	"github.com/hopseal/hopseal/transport"
)

// ErrEvicted is why a handshake ended that had to make room.
var ErrEvicted = errors.New("too many handshakes at once, and this one was silent for longest")

// Limits are the figures of a Lobby.
type Limits struct {
	Handshakes int           // slots for strangers, and room for newcomers
	PerAddress int           // of these for one address
	Timeout    time.Duration // of a handshake
}

// A Conn is what a Lobby needs of a connection.
type Conn interface {
	Info() transport.Info
	Close(code transport.Code, reason string) error
}

// A Lobby holds the handshakes that are under way at a server.
type Lobby struct {
	limits    Limits
	scheduler scheduler

	mu        sync.Mutex // guards what follows
	guests    map[*Guest]struct{}
	closed    error // why nobody may enter any more
	newcomers silent
	strangers strangers
	returners returners
	schedule  schedule
	goodbyes  int // guests that are being told that they were evicted
}

// New returns an empty Lobby.
func New(limits Limits) *Lobby {
	return &Lobby{
		limits:    limits,
		scheduler: scheduler{free: runtime.GOMAXPROCS(0)},
		guests:    map[*Guest]struct{}{},
		strangers: strangers{patience: minPatience, maxPatience: max(limits.Timeout/5, minPatience)},
		returners: returners{of: map[[32]byte][]*Guest{}},
	}
}

// A Guest is one handshake in a Lobby. The methods may be called on nil, which is bounded by
// nothing.
type Guest struct {
	lobby   *Lobby
	conn    Conn
	address string // "" if it is not known: then only the whole is bounded
	cancel  context.CancelCauseFunc

	// What follows is guarded by the lobby's mu.

	kind    kind
	evicted error         // why it had to go
	silence silence       // while the lobby waits for a frame of it
	answer  time.Duration // how long it took for its latest frame

	id, frame [32]byte // of a returner: the session, and the hash of its first frame
	repeated  bool     // that first frame has been seen before
}

// A kind says what a Guest's first frame was.
type kind int

const (
	newcomer kind = iota // none yet
	stranger
	returner
)

// Enter lets a handshake in. There is room for Limits.Handshakes guests beside strangers, and
// for as many more as are expected. The handshake has to end when the returned context does,
// and to call Leave.
func (l *Lobby) Enter(ctx context.Context, conn Conn, expected int) (context.Context, *Guest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &Guest{lobby: l, conn: conn, address: AddressOf(conn.Info()), cancel: cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.closed
	if err == nil {
		err = l.makeRoom(g.address, expected)
	}
	if err != nil {
		cancel(err)
		return ctx, nil, err
	}
	l.guests[g] = struct{}{}
	l.newcomers.add(g, time.Now())
	return ctx, g, nil
}

// AwaitUpgrade waits, for so long at most, until there is time for another connection. It is
// called before a connection is upgraded: its client waits for nothing yet, and has computed
// nothing. The error says why there is no room.
func (l *Lobby) AwaitUpgrade(ctx context.Context, expected int, most time.Duration) error {
	if err := l.full(expected); err != nil {
		return err
	}
	inTime, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	err := l.scheduler.do(inTime, stageUpgrade, func() {})
	if err != nil && ctx.Err() == nil {
		return l.busyNow()
	}
	return err
}

// full says why a newcomer would find no room now, or nil. No more may wait for their upgrade
// than could enter.
func (l *Lobby) full(expected int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := l.limits.Handshakes + expected
	if l.scheduler.waitingAt(stageUpgrade) < most && (l.bounded() < most || l.spare("") != nil) {
		return nil
	}
	return l.busy(l.scheduler.line())
}

// bounded counts all guests but strangers, who have a bound of their own. The caller holds mu.
func (l *Lobby) bounded() int { return len(l.guests) - l.strangers.all() }

// makeRoom evicts a newcomer for another one, if it has to. The caller holds mu.
func (l *Lobby) makeRoom(address string, expected int) error {
	if l.bounded() < l.limits.Handshakes+expected {
		return nil
	}
	other := l.spare(address)
	if other == nil {
		return l.busy(l.scheduler.line())
	}
	l.evict(other)
	return nil
}

// spare returns the newcomer who has to make room for one of an address, or nil. While others
// wait for a turn the server may not have read yet what a newcomer has sent: then that one is
// given some time. The caller holds mu.
func (l *Lobby) spare(address string) *Guest {
	other := l.newcomers.longest()
	if address != "" && l.newcomers.count(address) >= l.limits.PerAddress {
		other = l.newcomers.longestOf(address)
	}
	if other == nil || l.scheduler.line() > 0 && time.Since(other.silence.since) < l.strangers.patience {
		return nil
	}
	return other
}

// maxGoodbyes is how many guests are told at a time that they were evicted. Others are cut:
// whoever stalls may not listen either.
const maxGoodbyes = 64

// evict ends a handshake for others, and tells its client when to come back. The caller holds
// mu.
func (l *Lobby) evict(g *Guest) {
	why := &BusyError{ErrEvicted, l.schedule.next(time.Now(), &l.scheduler, 0)}
	g.evicted = why
	l.forget(g)
	if l.goodbyes >= maxGoodbyes {
		g.cancel(why)
		return
	}
	l.goodbyes++
	go func() {
		HangUp(g.conn, transport.CodeTryLater, why)
		g.cancel(why)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.goodbyes--
	}()
}

// forget takes a guest out. The caller holds mu.
func (l *Lobby) forget(g *Guest) {
	delete(l.guests, g)
	g.silence.end()
	switch g.kind {
	case stranger:
		l.strangers.left(g)
	case returner:
		l.returners.left(g)
	}
}

// Leave is called when a handshake has ended. It returns why the guest was evicted, or nil.
func (g *Guest) Leave() error {
	g.Release()
	g.cancel(nil) // releases the context
	return g.evicted
}

// Release gives up what the guest takes, since nothing comes of it any more. It is called
// before the connection is closed, for which a peer may take its time.
func (g *Guest) Release() {
	if g == nil {
		return
	}
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; here {
		l.forget(g)
		l.schedule.done++
		l.serveLines()
	}
}

// FrameExpected says that it is the guest's turn to send.
func (g *Guest) FrameExpected() {
	if g == nil {
		return
	}
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; !here {
		return
	}
	switch g.kind {
	case stranger:
		l.strangers.silent.add(g, time.Now())
	case returner:
		l.returners.silent.add(g, time.Now())
	}
	l.watchLines()
}

// FrameCame says that the frame that was expected has come.
func (g *Guest) FrameCame() {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	if g.silence.in != nil {
		g.answer = time.Since(g.silence.since)
		g.silence.end()
	}
}

// Compute runs f in a turn of the processors. Where it cannot wait any longer it returns the
// error of the context.
func (g *Guest) Compute(ctx context.Context, at Stage, f func()) error {
	if g == nil {
		f()
		return nil
	}
	return g.lobby.scheduler.do(ctx, at, f)
}

// Len returns how many guests there are.
func (l *Lobby) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.guests)
}

// Close ends all handshakes, and lets nobody in any more.
func (l *Lobby) Close(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = why
	for g := range l.guests {
		g.evicted = why
		g.cancel(why)
		l.forget(g)
	}
}

// AddressOf returns the block of addresses that a connection counts for, or "" if it has none.
func AddressOf(info transport.Info) string { return netblock.Of(cmp.Or(info.Client, info.Remote)) }
