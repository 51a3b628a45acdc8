package e2e

import (
	"sync"
	"sync/atomic"
	"time"
)

// limits are what a session must not outlive. They hold for sessions that may have
// more than one connection; others end with theirs.
type limits struct {
	idle, park, age time.Duration // 0: none

	active atomic.Int64 // when a message of the application last came or went, in ns

	mu     sync.Mutex // guards what follows
	born   time.Time
	parked time.Time // since when there is no line; zero while there is one, and at a client
	timer  *time.Timer
}

func (l *limits) touch(now time.Time) { l.active.Store(now.UnixNano()) }

// start begins to count. The callback has to call due.
func (l *limits) start(expire func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.born = time.Now()
	l.touch(l.born)
	l.timer = time.AfterFunc(time.Until(l.next()), expire)
}

// setParked says since when there is no line.
func (l *limits) setParked(since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parked = since; l.timer != nil {
		l.timer.Reset(time.Until(l.next()))
	}
}

// due reports whether a limit is reached, and else sees that it is asked again.
func (l *limits) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := time.Until(l.next())
	if left > 0 {
		l.timer.Reset(left)
	}
	return left <= 0
}

func (l *limits) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

// next returns the first time at which a limit may be reached. It is called under mu.
func (l *limits) next() time.Time {
	at := l.born.Add(l.age)
	for _, limit := range []struct {
		since time.Time
		most  time.Duration
	}{{time.Unix(0, l.active.Load()), l.idle}, {l.parked, l.park}} {
		if end := limit.since.Add(limit.most); limit.most > 0 && !limit.since.IsZero() && end.Before(at) {
			at = end
		}
	}
	return at
}

// expire ends a session that has reached a limit.
func (s *Session) expire() {
	if !s.over() && s.limits.due() {
		s.closeFor(CodeExpired, &CloseError{Err: ErrExpired})
	}
}
