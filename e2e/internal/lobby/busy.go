package lobby

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// ErrBusy is matched by why a handshake found no room. The client is told when to come back.
var ErrBusy = errors.New("too many handshakes at once")

// A BusyError is what a client is told for whom there is no room among the handshakes.
type BusyError struct {
	Why  error
	Wait time.Duration // until it should come back
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v: the client was told to come back in %v", e.Why, e.Wait.Round(time.Millisecond))
}

func (e *BusyError) Unwrap() error { return e.Why }

// HangUp closes a connection that came to nothing. What a [BusyError] says is no secret, and is
// the only reason that is told.
func HangUp(conn Conn, code transport.Code, why error) {
	busy, reason := new(BusyError), ""
	if errors.As(why, &busy) {
		code, reason = transport.CodeTryLater, transport.WaitReason(busy.Wait, busy.Why.Error())
	}
	conn.Close(code, reason)
}

// The bounds of the time for which somebody is sent away, and what a handshake is assumed to
// take until that has been measured.
const (
	minWait     = time.Second
	maxWait     = 30 * time.Second
	assumedCost = 2 * time.Millisecond
)

// A schedule says when those who are sent away come back: one after the other, as fast as the
// server computes.
type schedule struct {
	done int       // handshakes that are over
	last time.Time // that somebody was told
}

// next returns how long the next one has to wait, behind those who are here already.
func (s *schedule) next(now time.Time, d *scheduler, ahead int) time.Duration {
	each := s.each(d)
	if free := now.Add(time.Duration(ahead) * each); s.last.Before(free) {
		s.last = free
	}
	s.last = s.last.Add(each)
	if most := now.Add(maxWait); s.last.After(most) {
		s.last = most
	}
	wait := max(s.last.Sub(now), minWait)
	return wait + rand.N(wait/4)
}

// each returns what one handshake takes of the server's time. Its connection takes about as much
// as what is computed in turns.
func (s *schedule) each(d *scheduler) time.Duration {
	if s.done == 0 {
		return assumedCost / time.Duration(runtime.GOMAXPROCS(0))
	}
	return max(2*d.spent()/time.Duration(s.done), 50*time.Microsecond) / time.Duration(runtime.GOMAXPROCS(0))
}

// busy sends somebody away who would come behind so many others. The caller holds mu.
func (l *Lobby) busy(ahead int) error {
	return &BusyError{ErrBusy, l.schedule.next(time.Now(), &l.scheduler, ahead)}
}

// busyNow is busy for somebody who has waited for too long.
func (l *Lobby) busyNow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy(l.scheduler.line())
}

// Busy adds to an [ErrBusy] the time that the client is told, unless it has one.
func (g *Guest) Busy(err error) error {
	if g == nil || errors.As(err, new(*BusyError)) {
		return err
	}
	return g.lobby.busyNow()
}
