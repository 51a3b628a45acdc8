package flow

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
)

// Limits are the limits of a session's life. All except the expiry of credentials apply only to sessions
// that may have more than one line; others end with their line.
type Limits struct {
	idle, park, age time.Duration // 0: none

	active instant // when a message of the application last came or went

	mu     sync.Mutex // guards what follows
	born   time.Time
	parked time.Time // since when there is no line; zero while there is one, and at a client
	expiry time.Time // of the client's credentials; zero where they have none
	timer  *time.Timer
}

// Park returns how long a session may be without a line.
func (l *Limits) Park() time.Duration { return l.park }

func (l *Limits) touch(now time.Time) { l.active.set(now) }

// An instant is a time that any goroutine may set. It is stored as the time since a fixed one, by the
// monotonic clock.
type instant struct {
	from  time.Time
	since atomic.Int64 // in ns
}

func (i *instant) set(t time.Time) { i.since.Store(int64(t.Sub(i.from))) }

func (i *instant) time() time.Time { return i.from.Add(time.Duration(i.since.Load())) }

// start starts the clocks. The timer's callback has to call due.
func (l *Limits) start(expire func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.left(), expire)
}

// left returns how long it is until a limit may be reached.
func (l *Limits) left() time.Duration {
	if at, _ := l.next(); !at.IsZero() {
		return time.Until(at)
	}
	return math.MaxInt64
}

// SetExpiry sets when the client's credentials expire. A later call replaces it.
func (l *Limits) SetExpiry(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expiry = at; l.timer != nil {
		l.timer.Reset(l.left())
	}
}

// leave is called when the session gets no other line in this process.
func (l *Limits) leave(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parked.IsZero() {
		l.parked = now
	}
}

// SetParked sets the time since which there is no line. Zero means that there is a line.
func (l *Limits) SetParked(since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parked = since; l.timer != nil {
		l.timer.Reset(l.left())
	}
}

// due reports whether a limit is reached, and with which code the session then ends. If none is, it sets
// the timer for the next one.
func (l *Limits) due() (code fault.Code, yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.left()
	if left > 0 {
		l.timer.Reset(left)
	}
	_, code = l.next()
	return code, left <= 0
}

func (l *Limits) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

// next returns the first time at which a limit may be reached, zero for never, and the code for
// that. The caller holds l.mu.
func (l *Limits) next() (at time.Time, code fault.Code) {
	at, code = l.expiry, fault.CodeCredentials
	for _, limit := range []struct {
		since time.Time
		most  time.Duration
	}{{l.born, l.age}, {l.active.time(), l.idle}, {l.parked, l.park}} {
		end := limit.since.Add(limit.most)
		if limit.most > 0 && !limit.since.IsZero() && (at.IsZero() || end.Before(at)) {
			at, code = end, fault.CodeExpired
		}
	}
	return at, code
}

// RecordExpires returns when a record of the session as it is now expires. A server's record
// expires when its client would come too late if this process ended now. The limits are measured,
// and what is left of them is added to what the wall clock shows now.
func (l *Limits) RecordExpires(now time.Time, client bool) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.age - now.Sub(l.born)
	if !l.expiry.IsZero() {
		left = min(left, l.expiry.Sub(now))
	}
	if l.idle > 0 {
		left = min(left, l.idle-now.Sub(l.active.time()))
	}
	switch {
	case client:
	case l.parked.IsZero():
		left = min(left, 2*l.park) // it is saved again in half of one
	default:
		left = min(left, l.park-now.Sub(l.parked))
	}
	return now.Add(left)
}

// expire ends a session that has reached a limit.
func (f *Flow) expire() {
	if f.Over() {
		return
	}
	why := map[fault.Code]error{fault.CodeExpired: fault.ErrExpired, fault.CodeCredentials: fault.ErrCredentials}
	if code, yes := f.Limits.due(); yes {
		f.CloseFor(code, &fault.CloseError{Err: why[code]})
	}
}
