package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/netblock"
	"github.com/hopseal/hopseal/transport"
)

// What strangers can have a server ask its store for.
const (
	mostFinds      = 64 // look-ups of ids at a time
	mostLoads      = 64 // sessions that are read at a time, each for a client that has shown its secret
	misledASecond  = 16 // first frames from one address that lead to no session
	misledEachTime = time.Second
)

// errMisled is why a connection was closed whose first frame was not looked up.
var errMisled = errors.New("too many connections from this address ask for sessions that there are not: come back later")

// lookups bound what a server asks its store for. Whoever wants to go on with a session
// sends an id, and every hop has seen those of others.
type lookups struct {
	finds, loads chan struct{} // hold a token for each that is under way

	mu     sync.Mutex // guards what follows
	since  time.Time
	misled map[string]int // first frames since then that led to nothing, by address
}

func newLookups() lookups {
	return lookups{finds: make(chan struct{}, mostFinds), loads: make(chan struct{}, mostLoads)}
}

// turn waits for one of the tokens.
func turn(ctx context.Context, tokens chan struct{}) (done func(), _ error) {
	select {
	case tokens <- struct{}{}:
		return func() { <-tokens }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// find looks an id up, unless too many from the same address have led to nothing lately.
func (l *lookups) find(ctx context.Context, v vault, from transport.Info, id [32]byte) (key [32]byte, secret []byte, err error) {
	done, err := turn(ctx, l.finds)
	if err != nil {
		return key, nil, err
	}
	defer done()
	if !l.welcome(from, time.Now()) {
		return key, nil, errMisled
	}
	key, secret, err = v.find(ctx, id)
	switch {
	case errors.Is(err, ErrNotStored):
		l.mislead(from, time.Now())
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrStore, err)
	}
	return key, secret, err
}

// welcome reports whether an address may ask.
func (l *lookups) welcome(from transport.Info, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= misledEachTime {
		l.since, l.misled = now, map[string]int{}
	}
	return l.misled[addressIn(from)] < misledASecond
}

// mislead counts a first frame that led to nothing. It does not count before that is known:
// where a server has been restarted, many clients come back from one address at a time.
func (l *lookups) mislead(from transport.Info, now time.Time) {
	l.welcome(from, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.misled[addressIn(from)]++
}

// addressIn returns what is known of where a connection comes from, or "".
func addressIn(info transport.Info) string {
	if info.Client != "" {
		return netblock.Of(info.Client)
	}
	return netblock.Of(info.Remote)
}
