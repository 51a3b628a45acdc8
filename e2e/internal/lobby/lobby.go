// Package lobby admits the connections of a server that have proved nothing yet: it decides
// which of them may stay, whose turn it is, and which are told to come back later.
//
// A connection is a newcomer until its first frame has come. That frame makes it a stranger,
// which wants a session, or a returner, which holds the secret of a session and goes on with
// it. Strangers need slots, whose number is limited. They wait for slots in one line for each
// address, and the lines take turns.
//
// No connection that makes progress is evicted. One that is silent although it is its turn to
// send makes room for others:
//
//   - a newcomer at once, if there is no other room;
//   - a stranger once it has been silent for longer than those that got in lately;
//   - a returner once there are too many attempts for its session.
//
// In each case the one that has been silent longest is evicted: of the same address (or
// session) if that has more than its share.
//
// Computing for any of them waits for a turn of the processors; the handshakes that are
// nearest to a session come first. A connection that finds no room is told when to come back.
// The times follow one another at the rate at which the server computes. An address whose
// first frames keep leading to nothing is slowed down, not refused.
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

// ErrEvicted is the error of a handshake that had to make room for another.
var ErrEvicted = errors.New("too many handshakes at once, and this one was silent for longest")

// Limits are the limits of a Lobby.
type Limits struct {
	Handshakes int           // slots for strangers, and as much room for newcomers
	PerAddress int           // how many of each one address may have
	Timeout    time.Duration // of a handshake
}

// A Conn is what a Lobby needs of a connection.
type Conn interface {
	Info() transport.Info
	Close(code transport.Code, reason string) error
}

// A Lobby holds the handshakes under way at a server.
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

// A Guest is one handshake in a Lobby. Its methods may be called on a nil Guest, which has no
// limits.
type Guest struct {
	lobby   *Lobby
	conn    Conn
	address string // "" if it is not known: then no limit per address applies
	cancel  context.CancelCauseFunc

	// What follows is guarded by the lobby's mu.

	kind    kind
	evicted error         // why it was evicted
	silence silence       // set while the lobby waits for a frame from it
	answer  time.Duration // how long its latest frame took to come

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

// Enter lets a handshake in. Beside the strangers there is room for Limits.Handshakes guests, and
// for expected ones more. The handshake must end when the returned context does, and call Leave.
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

// AwaitUpgrade waits, at most for the given time, until the server has time for another connection.
// The caller calls it before it upgrades a connection: until then the client has computed nothing,
// so turning it away costs little. The error says why there is no room.
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

// full returns why a newcomer would find no room now, or nil. No more connections may wait for their
// upgrade than could enter.
func (l *Lobby) full(expected int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := l.limits.Handshakes + expected
	if l.scheduler.waitingAt(stageUpgrade) < most && (l.bounded() < most || l.spare("") != nil) {
		return nil
	}
	return l.busy(l.scheduler.queued())
}

// bounded returns how many guests are no strangers: strangers have a bound of their own. The caller
// holds mu.
func (l *Lobby) bounded() int { return len(l.guests) - l.strangers.all() }

// makeRoom makes room for a newcomer from an address, by evicting another newcomer if it has to. The
// caller holds mu.
func (l *Lobby) makeRoom(address string, expected int) error {
	if l.bounded() < l.limits.Handshakes+expected {
		return nil
	}
	other := l.spare(address)
	if other == nil {
		return l.busy(l.scheduler.queued())
	}
	l.evict(other)
	return nil
}

// spare returns the newcomer that has to make room for one of an address, or nil. While handshakes
// wait for a turn, the server may not have read yet what a newcomer has sent: then spare chooses
// none that has been silent only for a short time. The caller holds mu.
func (l *Lobby) spare(address string) *Guest {
	other := l.newcomers.longest()
	if address != "" && l.newcomers.count(address) >= l.limits.PerAddress {
		other = l.newcomers.longestOf(address)
	}
	if other == nil || l.scheduler.queued() > 0 && time.Since(other.silence.since) < l.strangers.patience {
		return nil
	}
	return other
}

// maxGoodbyes is how many evicted guests at a time are told that they were evicted. Others are cut
// at once: a guest that stalls may not read either.
const maxGoodbyes = 64

// evict ends a handshake to make room for others, and tells its client when to come back. The caller
// holds mu.
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

// forget removes a guest from the lobby. The caller holds mu.
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

// Leave must be called when a handshake has ended. It returns why the guest was evicted, or nil.
func (g *Guest) Leave() error {
	g.Release()
	g.cancel(nil) // releases the context
	return g.evicted
}

// Release frees the guest's room once its handshake has failed. Call it before closing the
// connection, which may take as long as the peer likes.
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

// FrameExpected records that it is the guest's turn to send.
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

// FrameCame records that the expected frame has come.
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

// Compute waits for a turn of the processors and runs f in it. If the context ends first, it returns
// the context's error.
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

// Close ends all handshakes with the error why, and lets no other in.
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

// AddressOf returns the block of addresses that a connection counts towards, or "" if its address is
// unknown.
func AddressOf(info transport.Info) string { return netblock.Of(cmp.Or(info.Client, info.Remote)) }
