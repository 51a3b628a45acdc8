package e2e

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/netblock"
	"github.com/hopseal/hopseal/transport"
)

// errEvicted is why a handshake ended that had to make room.
var errEvicted = errors.New("too many handshakes at once, and this one was silent for longest")

// A lobby holds the handshakes that are under way. Nobody who gets on has to make room for
// a newcomer: he who does is silent while it is his turn to speak, for longer than others.
// There are three kinds of guests:
//
//	newcomers  have said nothing. There is room for MaxHandshakes of them, and for everybody whom
//	           the server waits for
//	strangers  want a session, see strangers
//	returners  go on with a session, see returners
//
// Whoever finds no room is told when to come back.
type lobby struct {
	most, mostPerAddress int
	desk                 *desk

	mu        sync.Mutex // guards what follows
	guests    map[*guest]struct{}
	closed    error // why nobody may enter any more
	newcomers hush
	strangers strangers
	returners returners
	slots     slots
	goodbyes  int // guests that are being told that they were turned out
}

func newLobby(cfg ServerConfig, timeout time.Duration, d *desk) *lobby {
	return &lobby{most: cfg.MaxHandshakes, mostPerAddress: cfg.MaxHandshakesPerAddress, desk: d, guests: map[*guest]struct{}{},
		strangers: strangers{patience: leastPatience, most: max(timeout/5, leastPatience)}, returners: returners{of: map[[32]byte][]*guest{}}}
}

// A guest is one handshake in a lobby. What is behind the first fields is guarded by the
// lobby's mu. A nil guest is bounded by nothing.
type guest struct {
	lobby   *lobby
	conn    transport.Conn
	address string // "" if it is not known: then only the whole is bounded
	cancel  context.CancelCauseFunc

	kind  guestKind
	why   error         // it was turned out
	quiet quiet         // where it is silent
	took  time.Duration // how long it was silent before it spoke last

	id, frame [32]byte // of a returner: what it goes on with, and the hash of its first frame
	repeated  bool     // which somebody has sent before
}

type guestKind int

const (
	newcomer guestKind = iota
	stranger
	returner
)

// enter lets a handshake in. Beside MaxHandshakes there is room for so many. The handshake has
// to end when the context does, and to leave.
func (l *lobby) enter(ctx context.Context, conn transport.Conn, room int) (context.Context, *guest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guest{lobby: l, conn: conn, address: addressIn(conn.Info()), cancel: cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.closed
	if err == nil {
		err = l.makeRoom(g.address, room)
	}
	if err != nil {
		cancel(err)
		return ctx, nil, err
	}
	l.guests[g] = struct{}{}
	l.newcomers.add(g, time.Now())
	return ctx, g, nil
}

// here returns how many there are but for strangers, who have a bound of their own. It is
// called under mu.
func (l *lobby) here() int { return len(l.guests) - l.strangers.all() }

// makeRoom sees that there is room for a newcomer. It is called under mu.
func (l *lobby) makeRoom(address string, room int) error {
	if l.here() < l.most+room {
		return nil
	}
	other := l.spare(address)
	if other == nil {
		return l.busy(l.desk.line())
	}
	l.turnOut(other)
	return nil
}

// spare returns the newcomer who has to make room for one of an address, or nil. Where the server
// is busy it may not have looked yet whether he has said something. It is called under mu.
func (l *lobby) spare(address string) *guest {
	other := l.newcomers.longest()
	if address != "" && l.newcomers.count(address) >= l.mostPerAddress {
		other = l.newcomers.longestOf(address)
	}
	if other == nil || l.desk.line() > 0 && time.Since(other.quiet.since) < l.strangers.patience {
		return nil
	}
	return other
}

// mostGoodbyes is how many guests are told at a time that they were turned out. Others are cut:
// whoever stalls may not listen either.
const mostGoodbyes = 64

// turnOut ends a handshake for others, and tells its client when to come back. It is called
// under mu.
func (l *lobby) turnOut(g *guest) {
	why := &busyError{errEvicted, l.slots.next(time.Now(), l.desk, 0)}
	g.why = why
	l.forget(g)
	if l.goodbyes >= mostGoodbyes {
		g.cancel(why)
		return
	}
	l.goodbyes++
	go func() {
		hangUp(g.conn, transport.CodeTryLater, why)
		g.cancel(why)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.goodbyes--
	}()
}

// forget is called under mu.
func (l *lobby) forget(g *guest) {
	delete(l.guests, g)
	g.quiet.end()
	switch g.kind {
	case stranger:
		l.strangers.left(g)
	case returner:
		l.returners.left(g)
	}
}

// leave is over for a handshake that has ended, and returns why it was turned out, if it was.
func (g *guest) leave() error {
	g.over()
	g.cancel(nil) // releases the context
	return g.why
}

// over forgets a guest of whom nothing comes any more. It is called before his connection is
// closed, for which a peer may take its time.
func (g *guest) over() {
	if g == nil {
		return
	}
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; here {
		l.forget(g)
		l.slots.done++
		l.serveLines()
	}
}

// asks says that it is the guest's turn to speak.
func (g *guest) asks() {
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
		l.returners.silence(g)
	}
	l.watchLines()
}

// spoke says that what the guest was asked for has come.
func (g *guest) spoke() {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	if g.quiet.hush != nil {
		g.took = time.Since(g.quiet.since)
		g.quiet.end()
	}
}

// size returns how many there are.
func (l *lobby) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.guests)
}

// close turns everybody out, and whoever comes later.
func (l *lobby) close(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = why
	for g := range l.guests {
		g.why = why
		g.cancel(why)
		l.forget(g)
	}
}

// addressIn returns whose a connection is, as far as its address says, or "".
func addressIn(info transport.Info) string { return netblock.Of(cmp.Or(info.Client, info.Remote)) }
