package lobby

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// ErrBusy is matched by the error of a handshake that found no room. Its client is told when to come
// back.
var ErrBusy = errors.New("too many handshakes at once")

// A BusyError says that there is no room for a client's handshake, and when the client should come back.
type BusyError struct {
	Why  error
	Wait time.Duration // how long the client should stay away
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v: the client was told to come back in %v", e.Why, e.Wait.Round(time.Millisecond))
}

func (e *BusyError) Unwrap() error { return e.Why }

// HangUp closes the connection of a failed handshake. It tells the peer the reason only if that is a
// [BusyError], which is no secret.
func HangUp(conn Conn, code transport.Code, why error) {
	busy, reason := new(BusyError), ""
	if errors.As(why, &busy) {
		code, reason = transport.CodeTryLater, transport.WaitReason(busy.Wait, busy.Why.Error())
	}
	conn.Close(code, reason)
}

// The bounds of the time for which a client is sent away, and the time that a handshake is assumed to
// take until some have been measured.
const (
	minWait     = time.Second
	maxWait     = 30 * time.Second
	assumedCost = 2 * time.Millisecond
)

// A schedule decides when clients that are sent away come back: one after the other, at the rate at
// which the server computes handshakes.
type schedule struct {
	done int       // handshakes that are over
	last time.Time // the latest time that a client was given
}

// next returns how long the next client has to stay away, if waiting handshakes are served before it.
func (s *schedule) next(now time.Time, d *scheduler, waiting int) time.Duration {
	each := s.each(d)
	if free := now.Add(time.Duration(waiting) * each); s.last.Before(free) {
		s.last = free
	}
	s.last = s.last.Add(each)
	if most := now.Add(maxWait); s.last.After(most) {
		s.last = most
	}
	wait := max(s.last.Sub(now), minWait)
	return wait + rand.N(wait/4)
}

// each returns the server's time for one handshake. The connection takes about as much time as the
// computing in turns, so that is counted twice.
func (s *schedule) each(d *scheduler) time.Duration {
	if s.done == 0 {
		return assumedCost / time.Duration(runtime.GOMAXPROCS(0))
	}
	return max(2*d.spent()/time.Duration(s.done), 50*time.Microsecond) / time.Duration(runtime.GOMAXPROCS(0))
}

// busy returns the error that sends a client away for whom so many waiting handshakes would be served
// first. The caller holds mu.
func (l *Lobby) busy(waiting int) error {
	return &BusyError{ErrBusy, l.schedule.next(time.Now(), &l.scheduler, waiting)}
}

// busyNow is busy for a client that has waited too long for a turn.
func (l *Lobby) busyNow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy(l.scheduler.queued())
}

// Busy returns an [ErrBusy] with the time after which the client should come back, if err has none.
func (g *Guest) Busy(err error) error {
	if g == nil || errors.As(err, new(*BusyError)) {
		return err
	}
	return g.lobby.busyNow()
}
