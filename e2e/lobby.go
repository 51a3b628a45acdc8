package e2e

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hopseal/hopseal/internal/netblock"
)

// errEvicted is why a handshake ended that had to make room.
var errEvicted = errors.New("too many handshakes at once; this one had waited longest")

// A lobby holds the handshakes that are under way. When it is full a newcomer takes
// the place of whoever has waited longest: an honest client needs two round trips,
// so under a flood it is through before its turn comes, while peers who stall make
// room for one another.
type lobby struct {
	most, mostPerAddress int

	mu     sync.Mutex
	guests []*guest // the one that has waited longest first
	closed error    // why nobody may enter any more
}

type guest struct {
	address string // "" if it is not known: then only the whole is bounded
	evict   context.CancelCauseFunc
}

// enter lets a handshake in. It has to end when the context does, and to call leave.
func (l *lobby) enter(ctx context.Context, remote string) (_ context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guest{netblock.Of(remote), cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		cancel(l.closed)
		return ctx, func() {}
	}
	same := func(other *guest) bool { return other.address == g.address }
	if g.address != "" && count(l.guests, same) >= l.mostPerAddress {
		l.turnOut(slices.IndexFunc(l.guests, same))
	} else if len(l.guests) >= l.most {
		l.turnOut(0)
	}
	l.guests = append(l.guests, g)
	return ctx, func() { l.leave(g) }
}

func (l *lobby) turnOut(i int) {
	l.guests[i].evict(errEvicted)
	l.guests = slices.Delete(l.guests, i, i+1)
}

func (l *lobby) leave(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.guests, g); i >= 0 {
		l.guests = slices.Delete(l.guests, i, i+1)
	}
	g.evict(nil) // releases the context
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
	for _, g := range l.guests {
		g.evict(why)
	}
	l.guests = nil
}

func count(guests []*guest, match func(*guest) bool) (n int) {
	for _, g := range guests {
		if match(g) {
			n++
		}
	}
	return n
}
