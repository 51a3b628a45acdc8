package engine

import "time"

// Stats are figures of a session. They are counted where the session's lock is held
// anyway, and nothing is sent for their sake.
type Stats struct {
	Sent, Received           uint64 // messages in each direction, since there is this Session: one that is restored begins anew
	SentBytes, ReceivedBytes uint64 // of their data, without padding
	Unacked                  uint64 // messages that the other end's session is not known to have
	Resent                   uint64 // messages sealed again on another link
	Resumes                  uint64 // links after the first
	Rekeys                   uint64 // times that the other end has moved to the keys of another epoch
	RoundTrip                Histogram
}

// Stats returns the figures of this moment. They stay when the session is forgotten.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats.Stats
	stats.Unacked = s.out.last - s.out.acked
	return stats
}

// Bounds are the upper bounds of a [Histogram]'s buckets but the last, which has none.
var Bounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
}

// A Histogram counts times: Counts[i] those of at most Bounds[i] that no earlier
// bucket has, the last one those above all bounds.
type Histogram struct {
	Counts [len(Bounds) + 1]uint64
	Sum    time.Duration
}

func (h *Histogram) observe(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += d
}

// stats is what a session counts, under its mu.
type stats struct {
	Stats

	numbered time.Time // when the last message was
	asked    time.Time // when the ask was sealed that is being timed; zero if there is none
	through  uint64    // what its answer acknowledges at least
}

func (t *stats) send(now time.Time, size int) {
	t.Sent++
	t.SentBytes += uint64(size)
	t.numbered = now
}

func (t *stats) receive(size int) {
	t.Received++
	t.ReceivedBytes += uint64(size)
}

func (t *stats) resume() {
	t.Resumes++
	t.asked = time.Time{} // its answer is lost
}

// sameMoment is how closely an ask has to follow a message for both to count as one.
const sameMoment = time.Millisecond

// ask begins to time a round trip, if the answer will be known for one: an ack that is
// under way already, for messages sent some time ago, must not pass for it.
func (t *stats) ask(now time.Time, o *outbox) {
	complete := o.cursor == o.last // else the answer waits for the rest of a message
	if complete && (o.acked == o.last || now.Sub(t.numbered) < sameMoment) {
		t.asked, t.through = now, o.cursor
	}
}

// answer takes an ack in.
func (t *stats) answer(now time.Time, received uint64) {
	if !t.asked.IsZero() && received >= t.through {
		t.RoundTrip.observe(now.Sub(t.asked))
		t.asked = time.Time{}
	}
}
