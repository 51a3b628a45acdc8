package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// First frames that lead to nothing are slowed down, not refused: behind one address there
// may be a reverse proxy, and behind that honest clients, who come back to a server that was
// restarted. They get on beside a stranger, unless he is as busy as would turn them out of the
// lobby too.
const (
	misledASecond = 16 // such frames from one address, from which on it is suspect
	misledPause   = 50 * time.Millisecond

	suspectsInLine = 8 // who may wait for each turn of an address
)

// suspects are the addresses of late whose first frames led to nothing. One with many of them
// gets so many turns, and a turn that leads to nothing again takes misledPause. Whoever finds too
// many there is told to come back.
type suspects struct {
	turns int

	mu    sync.Mutex // guards what follows
	since time.Time
	known map[string]*suspect
}

// A suspect is what is known of an address.
type suspect struct {
	turns          chan struct{}
	before, misled int // frames that led to nothing in the second before this one, and in this one
	users          int // who are about to look at it
}

func (x *suspect) suspected() bool { return max(x.before, x.misled) >= misledASecond }

// admit makes a call for an address, at once or when its turn comes. Of an address that is not
// known nothing is suspected.
func (s *suspects) admit(ctx context.Context, address string, call func() error) error {
	if address == "" {
		return call()
	}
	x, suspected, crowded := s.enter(address)
	switch {
	case suspected && crowded:
		s.leave(x, errBusy)
		return errBusy
	case suspected:
		return s.slowly(ctx, x, call)
	}
	err := call()
	s.leave(x, err)
	return err
}

// slowly makes a call in a turn of its address.
func (s *suspects) slowly(ctx context.Context, x *suspect, call func() error) error {
	select {
	case x.turns <- struct{}{}:
	case <-ctx.Done():
		s.leave(x, ctx.Err())
		return ctx.Err()
	}
	err, pause := call(), time.Duration(0)
	if err != nil { // also where whoever asked has gone: the look-up may be under way
		pause = misledPause
	}
	time.AfterFunc(pause, func() {
		<-x.turns
		s.leave(x, err)
	})
	return err
}

// enter returns what is known of an address, whether it is suspected, and whether there are
// too many who wait with it.
func (s *suspects) enter(address string) (x *suspect, suspected, crowded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass(time.Now())
	if x = s.known[address]; x == nil {
		x = &suspect{turns: make(chan struct{}, s.turns)}
		s.known[address] = x
	}
	x.users++
	return x, x.suspected(), x.users > s.turns*suspectsInLine
}

// pass forgets, once in a second, what is out of date. It is called under mu.
func (s *suspects) pass(now time.Time) {
	if now.Sub(s.since) < time.Second {
		return
	}
	known := map[string]*suspect{}
	for address, x := range s.known {
		if x.before, x.misled = x.misled, 0; x.users > 0 || x.suspected() {
			known[address] = x
		}
	}
	s.since, s.known = now, known
}

// leave says what became of a call.
func (s *suspects) leave(x *suspect, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.users--
	if errors.Is(err, sessionstore.ErrNotStored) {
		x.misled++
	}
}
