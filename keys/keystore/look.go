package keystore

import (
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// elapsed measures by the monotonic clock, which both times carry.
func elapsed(since, now time.Time) time.Duration { return now.Sub(since) }

// look brings the tally up to date, and returns what the wall clock shows, in Unix seconds. The
// caller holds mu, but for a new store.
func (s *Store) look() int64 {
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
	if !s.looked.IsZero() {
		d := max(s.elapsed(s.looked, now), 0)
		passed, rest = int64(d/time.Second), d%time.Second
		if slept := m.now - t.measure.now; m.source == t.measure.source && slept > passed+drift {
			passed, rest = slept, 0 // the monotonic clock stands still meanwhile
		}
	}
	*t = t.look(wall, m, passed)
	s.looked, s.rest = now.Add(-rest), rest
	return wall
}

// observe looks at the clock and returns the tally. It writes the store first if the clock has
// jumped, or if the last look on disk is 12 hours old.
func (s *Store) observe() (tally, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := s.look()
	t := s.contents.tally
	if t.impossible(wall) {
		return t, fmt.Errorf("%w: it shows %s, before the keys of %s were made: set it, or wait until it has been set; until then no key takes a step, and nothing is renewed",
			ErrClock, time.Unix(wall, 0).UTC().Format(time.RFC3339), s.name)
	}
	if before := s.onDisk.tally; t.jump == before.jump && t.at < before.at+lookedAgain {
		return t, nil
	}
	if err := s.write(s.freeze()); !tookEffect(err) {
		return t, err
	}
	return s.contents.tally, nil
}

// ClockJump reports that the machine's clock has jumped since somebody last looked, from what it
// should have shown to what it showed, and that nothing has confirmed yet what it shows: until then
// [Store.Rotate] takes no step but renewals. An hour in which the clock agrees with what is measured
// confirms it, and so does another look, at least an hour later, of another process.
func (s *Store) ClockJump() (from, to time.Time, doubted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.contents.tally.unconfirmedJump()
}

// ListedUntil returns until when a sealing key is listed by a statement that may be in use
// somewhere: until then peers may seal to it. It is the zero time for other keys, and for those that
// no statement lists.
func (s *Store) ListedUntil(ref KeyRef) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return unixtime.Time(uint64(s.contents.tally.ages[ref].listed))
}
