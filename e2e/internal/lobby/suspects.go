package lobby

import (
	"context"
	"errors"
	"sync"
	"time"
)

// First frames that lead to nothing are slowed down, not refused: one address may be a reverse proxy
// with honest clients behind it, which come back to a server that was restarted. Beside an attacker
// who guesses they still get in, unless he sends so many frames that he would fill the lobby too.
const (
	suspectRate  = 16 // so many such frames a second make an address suspect
	suspectPause = 50 * time.Millisecond

	maxWaitingForTurn = 8 // how many may wait for each turn of a suspect address
)

// Suspects are the addresses whose first frames have led to nothing lately. An address with many such
// frames gets a limited number of turns. A frame that leads to nothing again keeps its turn for another
// suspectPause. If too many wait for turns of the address, others are told to come back.
type Suspects struct {
	turns   int
	nothing error

	mu    sync.Mutex // guards what follows
	since time.Time
	known map[string]*suspect
}

// NewSuspects returns Suspects whose addresses get so many turns each. A frame leads to nothing if the
// error of its call matches nothing.
func NewSuspects(turns int, nothing error) *Suspects {
	return &Suspects{turns: turns, nothing: nothing}
}

// A suspect is what is known about an address.
type suspect struct {
	turns     chan struct{}
	last, now int // frames that led to nothing in the second before this one, and in this one
	users     int // calls that wait, or are under way
}

func (x *suspect) suspected() bool { return max(x.last, x.now) >= suspectRate }

// Do makes a call for an address: at once, or in a turn of the address if it is suspect. The empty
// address is never suspect.
func (s *Suspects) Do(ctx context.Context, address string, call func() error) error {
	if address == "" {
		return call()
	}
	x, suspected, crowded := s.enter(address)
	switch {
	case suspected && crowded:
		s.leave(x, ErrBusy)
		return ErrBusy
	case suspected:
		return s.slowly(ctx, x, call)
	}
	err := call()
	s.leave(x, err)
	return err
}

// slowly makes a call in a turn of its address.
func (s *Suspects) slowly(ctx context.Context, x *suspect, call func() error) error {
	select {
	case x.turns <- struct{}{}:
	case <-ctx.Done():
		s.leave(x, ctx.Err())
		return ctx.Err()
	}
	err, pause := call(), time.Duration(0)
	if err != nil { // even if the caller has given up: the look-up may still be under way
		pause = suspectPause
	}
	time.AfterFunc(pause, func() {
		<-x.turns
		s.leave(x, err)
	})
	return err
}

// enter returns what is known about an address, whether it is suspect, and whether too many calls wait
// for its turns.
func (s *Suspects) enter(address string) (x *suspect, suspected, crowded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass(time.Now())
	if x = s.known[address]; x == nil {
		x = &suspect{turns: make(chan struct{}, s.turns)}
		s.known[address] = x
	}
	x.users++
	return x, x.suspected(), x.users > s.turns*maxWaitingForTurn
}

// pass begins another second if this one is over, and forgets addresses that need not be remembered.
// The caller holds mu.
func (s *Suspects) pass(now time.Time) {
	if now.Sub(s.since) < time.Second {
		return
	}
	known := map[string]*suspect{}
	for address, x := range s.known {
		if x.last, x.now = x.now, 0; x.users > 0 || x.suspected() {
			known[address] = x
		}
	}
	s.since, s.known = now, known
}

// leave counts the result of a call.
func (s *Suspects) leave(x *suspect, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.users--
	if errors.Is(err, s.nothing) {
		x.now++
	}
}
