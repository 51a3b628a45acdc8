package keystore

import (
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// elapsed returns the time between two readings of the monotonic clock, which both times carry.
func elapsed(since, now time.Time) time.Duration { return now.Sub(since) }

// readClock brings the tally up to date, and returns what the wall clock shows, in Unix seconds. The
// caller holds mu, unless the store is new.
func (s *Store) readClock() int64 {
	now, m := s.clock(), s.uptime()
	wall := max(now.Unix(), 0)
	t := &s.contents.tally
	if t.at == 0 { // it is new
		*t = tally{at: wall, measure: m}
	}
	if t.impossible(wall) {
		return wall
	}
	passed, rest := int64(-1), time.Duration(now.Nanosecond())
	if !s.lastSecond.IsZero() {
		d := max(s.elapsed(s.lastSecond, now), 0)
		passed, rest = int64(d/time.Second), d%time.Second
		if slept := m.now - t.measure.now; m.source == t.measure.source && slept > passed+drift {
			passed, rest = slept, 0 // the monotonic clock stands still while a machine sleeps
		}
	}
	*t = t.advance(wall, m, passed)
	s.lastSecond, s.rest = now.Add(-rest), rest
	return wall
}

// observe reads the clock and returns the tally. It writes the store first if the clock has jumped, or
// if the tally on disk is 12 hours old.
func (s *Store) observe() (tally, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := s.readClock()
	t := s.contents.tally
	if t.impossible(wall) {
		return t, fmt.Errorf("%w: it shows %s, before the keys of %s were made: set it, or wait until it has been set; until then no key takes a step, and nothing is renewed",
			ErrClock, time.Unix(wall, 0).UTC().Format(time.RFC3339), s.name)
	}
	if before := s.onDisk.tally; t.jump == before.jump && t.at < before.at+saveInterval {
		return t, nil
	}
	if err := s.write(s.freeze()); !tookEffect(err) {
		return t, err
	}
	return s.contents.tally, nil
}

// ClockJump reports whether the machine's clock has jumped and nothing has confirmed yet what it
// shows: until then [Store.Rotate] takes no step but renewals. It returns what the clock should have
// shown and what it showed. An hour in which the clock agrees with what is measured confirms it. So
// does another process that reads the clock at least an hour later.
func (s *Store) ClockJump() (from, to time.Time, doubted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readClock()
	return s.contents.tally.unconfirmedJump()
}

// ListedUntil returns until when a statement that may be in use somewhere lists a sealing key: until
// then peers may seal to the key. It returns the zero time for other keys, and for keys that no
// statement lists.
func (s *Store) ListedUntil(ref KeyRef) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return unixtime.Time(uint64(s.contents.tally.ages[ref].listed))
}
