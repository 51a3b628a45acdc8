package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// errBusy is matched by why a handshake found no room. The client is told when to come back.
var errBusy = errors.New("too many handshakes at once")

// A busyError is what a client is told for whom there is no room among the handshakes.
type busyError struct {
	why  error
	wait time.Duration // until it should come back
}

func (e *busyError) Error() string {
	return fmt.Sprintf("%v: the client was told to come back in %v", e.why, e.wait.Round(time.Millisecond))
}

func (e *busyError) Unwrap() error { return e.why }

// hangUp closes a connection that came to nothing. The word of a busy server is no secret, and
// is the only one that is told.
func hangUp(conn transport.Conn, code transport.Code, why error) {
	busy, reason := new(busyError), ""
	if errors.As(why, &busy) {
		code, reason = transport.CodeTryLater, transport.WaitReason(busy.wait, busy.why.Error())
	}
	conn.Close(code, reason)
}

// The time for which somebody is sent away: at least, at most, and what a handshake takes as
// long as that has not been measured.
const (
	leastWait = time.Second
	mostWait  = 30 * time.Second
	assumed   = 2 * time.Millisecond
)

// slots are when those who were sent away come back: one after the other, as fast as the
// server computes.
type slots struct {
	done int       // handshakes that are over
	last time.Time // of those that were given away
}

// next returns how long the next one has to wait, behind those who are here already.
func (s *slots) next(now time.Time, d *desk, ahead int) time.Duration {
	each := s.each(d)
	s.last = later(s.last, now.Add(time.Duration(ahead)*each)).Add(each)
	if most := now.Add(mostWait); s.last.After(most) {
		s.last = most
	}
	wait := max(s.last.Sub(now), leastWait)
	return wait + rand.N(wait/4)
}

// each returns what one handshake takes of the server's time. Its connection takes about as much
// as what is computed in turns.
func (s *slots) each(d *desk) time.Duration {
	if s.done == 0 {
		return assumed / time.Duration(runtime.GOMAXPROCS(0))
	}
	return max(2*d.spent()/time.Duration(s.done), 50*time.Microsecond) / time.Duration(runtime.GOMAXPROCS(0))
}

// busy is called under the lobby's mu, when so many are ahead of whoever comes.
func (l *lobby) busy(ahead int) error {
	return &busyError{errBusy, l.slots.next(time.Now(), l.desk, ahead)}
}

// late is busy for somebody who has waited for too long.
func (l *lobby) late() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy(l.desk.line())
}

// sent is an errBusy with the time that the client is told.
func (g *guest) sent(err error) error {
	if g == nil || errors.As(err, new(*busyError)) {
		return err
	}
	return g.lobby.late()
}
