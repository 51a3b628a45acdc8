package lobby

import (
	"context"
	"errors"
	"sync"
	"time"
)

// First frames that lead to nothing are slowed down, not refused: behind one address there
// may be a reverse proxy, and behind that honest clients, who come back to a server that was
// restarted. They get on beside somebody who guesses, unless he is so busy that he would fill
// the lobby too.
const (
	suspectRate  = 16 // such frames a second from one address, from which on it is suspect
	suspectPause = 50 * time.Millisecond

	maxWaitingForTurn = 8 // of a suspect address, for each of its turns
)

// Suspects are the addresses whose first frames have led to nothing lately. An address with many
// such frames gets so many turns, and keeps one for suspectPause when the frame leads to nothing
// again. Whoever finds too many waiting there is told to come back.
type Suspects struct {
	turns   int
	nothing error

	mu    sync.Mutex // guards what follows
	since time.Time
	known map[string]*suspect
}

// NewSuspects returns Suspects whose addresses get so many turns. A frame leads to nothing if the
// error about it matches nothing.
func NewSuspects(turns int, nothing error) *Suspects {
	return &Suspects{turns: turns, nothing: nothing}
}

// A suspect is what is known of an address.
type suspect struct {
	turns     chan struct{}
	last, now int // frames that led to nothing in the second before this one, and in this one
	users     int // calls that wait, or are under way
}

func (x *suspect) suspected() bool { return max(x.last, x.now) >= suspectRate }

// Do makes a call for an address, at once or when its turn comes. An address that is not known
// is never suspect.
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
	if err != nil { // also where whoever asked has gone: the look-up may be under way
		pause = suspectPause
	}
	time.AfterFunc(pause, func() {
		<-x.turns
		s.leave(x, err)
	})
	return err
}

// enter returns what is known of an address, whether it is suspect, and whether too many wait
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

// pass forgets, once a second, what is out of date. The caller holds mu.
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

// leave says what became of a call.
func (s *Suspects) leave(x *suspect, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.users--
	if errors.Is(err, s.nothing) {
		x.now++
	}
}
