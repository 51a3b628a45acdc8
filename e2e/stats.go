package e2e

import (
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// Stats are figures of a session since it began, or was restored from a store, over all its
// connections. A server's are sums. They hold no secrets and nothing that the other end has
// chosen. Counting costs next to nothing, and no traffic.
type Stats struct {
	MessagesSent, MessagesReceived uint64 // each once, however often it crossed the network
	BytesSent, BytesReceived       uint64 // in them, with 8 bytes and the type for each, without padding

	MessagesRefused    uint64 // messages of the other end that this end refused: see [RefusedError]
	MessagesTurnedDown uint64 // messages of this end that the other end refused

	Unacked uint64 // messages sent that are not known to have arrived, now
	Resent  uint64 // messages sent again over another connection
	Resumes uint64 // connections after the first
	Rekeys  uint64 // times that the other end has moved to keys of a new exchange

	// IdentityExpires is when the current statement of this end's own identity expires. Peers
	// refuse it from then on. It is the zero time for a revoked identity.
	IdentityExpires time.Time

	// Refused counts the records that the peer cannot have sent here, by what was wrong:
	// "size", "encoding", "key_share", "authentication", "identity",
	// "signature", "own_identity", "record_type", "credit", "acknowledgement", "rekey",
	// "message_length", "update", "key_generation", "close". Each of them ended a connection or the session.
	Refused map[string]uint64

	// RoundTrip counts how long the other end's session took to answer when this one asked
	// what has arrived. A session asks now and then: for Flush, when much is under way, and
	// when nothing has come for [Options.KeepAlive]. A server has little reason to ask.
	RoundTrip Histogram
}

// A Histogram counts durations. Counts[i] has those of at most [Histogram.Bounds][i] and more than
// the bound before. The last element has those above all bounds.
type Histogram struct {
	Counts [13]uint64
	Sum    time.Duration
}

// Bounds returns the upper bounds of the buckets, the same for each Histogram: 1, 2, 5, 10, 20,
// 50, 100, 200 and 500 ms, 1, 2 and 5 s. The last bucket has none.
func (Histogram) Bounds() []time.Duration { return append([]time.Duration(nil), engine.Bounds[:]...) }

// figures hold what Stats are made of, in a form that is cheap to add up.
type figures struct {
	engine.Stats
	refused [engine.NumReasons]uint64

	refusedHere, refusedThere uint64
}

func (s *Session) figures() (f figures) {
	f.Stats = s.engine.Stats()
	f.refused = s.flow.BadRecords()
	f.refusedHere, f.refusedThere = s.flow.Refused(), s.calls.TurnedDown()
	return f
}

func (f *figures) add(other figures) {
	f.Sent += other.Sent
	f.Received += other.Received
	f.SentBytes += other.SentBytes
	f.ReceivedBytes += other.ReceivedBytes
	f.Unacked += other.Unacked
	f.refusedHere += other.refusedHere
	f.refusedThere += other.refusedThere
	f.Resent += other.Resent
	f.Resumes += other.Resumes
	f.Rekeys += other.Rekeys
	for i, n := range other.RoundTrip.Counts {
		f.RoundTrip.Counts[i] += n
	}
	f.RoundTrip.Sum += other.RoundTrip.Sum
	for reason, n := range other.refused {
		f.refused[reason] += n
	}
}

func (f *figures) stats() Stats {
	return Stats{
		MessagesSent:     f.Sent,
		MessagesReceived: f.Received,
		BytesSent:        f.SentBytes,
		BytesReceived:    f.ReceivedBytes,
		Unacked:          f.Unacked,

		MessagesRefused:    f.refusedHere,
		MessagesTurnedDown: f.refusedThere,

		Resent:    f.Resent,
		Resumes:   f.Resumes,
		Rekeys:    f.Rekeys,
		Refused:   f.byReason(),
		RoundTrip: Histogram(f.RoundTrip),
	}
}

// byReason returns the counts of refused records, under the names of all reasons.
func (f *figures) byReason() map[string]uint64 {
	out := make(map[string]uint64, len(f.refused))
	for reason, n := range f.refused {
		if reason > 0 { // the first means no reason
			out[strings.ReplaceAll(engine.Reason(reason).String(), " ", "_")] = n
		}
	}
	return out
}

// Stats returns the figures of this moment. They no longer change after the session has ended.
func (s *Session) Stats() Stats {
	f := s.figures()
	all := f.stats()
	all.IdentityExpires = s.local.identityExpires()
	return all
}
