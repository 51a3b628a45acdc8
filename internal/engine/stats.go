package engine

import "time"

// Stats are a session's figures. The session counts them where it holds its lock anyway,
// and sends nothing for them.
type Stats struct {
	Sent, Received           uint64 // messages in each direction; a restored Session counts from 0
	SentBytes, ReceivedBytes uint64 // bytes of their data, without padding
	Unacked                  uint64 // messages that the other end has not acknowledged
	Resent                   uint64 // messages sealed again on a later link
	Resumes                  uint64 // links after the first
	Rekeys                   uint64 // how often the other end has moved to the keys of a new epoch
	RoundTrip                Histogram
}

// Stats returns the session's figures now. They stay when the session is forgotten.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats.Stats
	stats.Unacked = s.out.last - s.out.acked
	return stats
}

// Bounds are the upper bounds of a [Histogram]'s buckets. The last bucket has none.
var Bounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
}

// A Histogram counts times. Counts[i] counts those of at most Bounds[i] that no earlier
// bucket counts. The last one counts those above all bounds.
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

// stats is what a session counts. The session's mu guards it.
type stats struct {
	Stats

	numbered time.Time // when the last message got its number
	asked    time.Time // when the ask that is being timed was sealed; zero if there is none
	through  uint64    // the last message that its answer must acknowledge
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
	t.asked = time.Time{} // the answer to the ask is lost
}

// sameMoment is the longest time between a message and an ask that count as sent at once.
const sameMoment = time.Millisecond

// ask begins to time a round trip, if this end will be able to tell the answer: it must not
// mistake for it an ack that is under way already, for messages sent some time ago.
func (t *stats) ask(now time.Time, o *outbox) {
	complete := o.cursor == o.last // else the answer waits for the rest of a message
	if complete && (o.acked == o.last || now.Sub(t.numbered) < sameMoment) {
		t.asked, t.through = now, o.cursor
	}
}

// answer takes an ack, and ends the timing if the ack answers the ask.
func (t *stats) answer(now time.Time, received uint64) {
	if !t.asked.IsZero() && received >= t.through {
		t.RoundTrip.observe(now.Sub(t.asked))
		t.asked = time.Time{}
	}
}
