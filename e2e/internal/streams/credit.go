package streams

import (
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/engine"
)

// The credit of a stream is how many bytes of it may be sent, counted from its beginning. Each
// stream has its own, so that a stream which nobody reads blocks its own writer and nothing else.
// The body of a credit:
//
//	size  meaning
//	8     bytes of the stream's pieces that may be sent in all
const (
	firstCredit   = 16 << 10 // what each stream may send at once
	minCreditStep = 4 << 10  // each credit adds at least so much, and so much is read before it
	maxCreditStep = 1 << 30  // each credit adds at most so much
	creditSize    = 8
)

// lent returns how many bytes of the session's window a stream takes: those that have come or may
// come and are not read, beyond the first credit.
func (a *arrival) lent() uint64 { return max(a.granted-a.taken, firstCredit) - firstCredit }

// lend keeps the sum of what is lent right while change alters one stream. The caller holds mu.
func (s *Streams) lend(a *arrival, change func()) {
	s.lent -= a.lent()
	change()
	s.lent += a.lent()
}

// due returns the credit that the sender of a stream is to be told, or 0. A stream may take half of
// what the others have left of the window, so that one more finds some. Of several streams that
// are read each comes to have as much as the others. The sender is told when the new credit adds
// half of what may be unread. The caller holds mu.
func (s *Streams) due(a *arrival) uint64 {
	unread := firstCredit + (uint64(s.limits.Window)-(s.lent-a.lent()))/2
	credit := a.taken + unread
	if a.reader == nil || a.ended || credit < a.granted+unread/2 || a.taken < a.marked+minCreditStep {
		return 0
	}
	if more := credit - a.granted; more > maxPiece {
		credit -= more % maxPiece // whole pieces, or each credit would end in a small one
	}
	return credit
}

// tellIfDue has the sender of a stream told if there is something to tell. The caller holds mu.
func (s *Streams) tellIfDue(a *arrival) {
	if a.reader != nil && a.accepted && a.ended && a.taken == a.came {
		a.owed = engine.KindStreamDone
		if a.came > 0 { // the application knows an empty stream only once it has tried to read
			go s.releaseLocked(a.reader)()
		}
	}
	if (a.owed != 0 || s.due(a) > 0) && !s.telling {
		s.telling = true
		go s.tellAll()
	}
}

// tellAll tells the senders of all streams what is due, one after the other. However long the
// first takes, no more than one message for each stream comes up meanwhile.
func (s *Streams) tellAll() {
	for m, a := s.nextDue(); a != nil; m, a = s.nextDue() {
		number, err := s.session.Submit(s.life, m)
		if err != nil {
			return // the session is over
		}
		s.settleRefused(a, number)
	}
}

// nextDue returns what is due about a stream. It returns nil if nothing is.
func (s *Streams) nextDue() (Outgoing, *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, a := range s.in {
		m := Outgoing{Header: engine.Header{Kind: a.owed, Answers: id}}
		if credit := s.due(a); a.owed == 0 && credit > 0 {
			s.grant(a, credit)
			m.Kind, m.Body = engine.KindStreamCredit, binary.BigEndian.AppendUint64(nil, credit)
		}
		if a.owed = 0; m.Kind != 0 {
			s.forgetAfter(m.Kind, id, a)
			return m, a
		}
	}
	s.telling = false
	return Outgoing{}, nil
}

// grant counts a credit that is told. The caller holds mu.
func (s *Streams) grant(a *arrival, credit uint64) {
	s.lend(a, func() { a.granted, a.marked = credit, a.taken })
}

// forgetAfter forgets a stream if nothing follows the message about it, from either end. The
// caller holds mu.
func (s *Streams) forgetAfter(told engine.Kind, id uint64, a *arrival) {
	if told == engine.KindStreamDone || told == engine.KindStreamCancel && a.ended {
		delete(s.in, id)
	}
}

// settleRefused acknowledges the opening of a stream that a stored end refuses, once the peer has
// received the refusal. Any sooner, the peer could take the stream for one that has arrived.
func (s *Streams) settleRefused(a *arrival, refusal uint64) {
	if s.session.Stored() && s.session.Await(s.life, refusal) == nil {
		s.acknowledgeOpening(a)
	}
}

// acknowledgeOpening acknowledges the message that opened a stream, unless that is done.
func (s *Streams) acknowledgeOpening(a *arrival) {
	s.mu.Lock()
	o := a.opening
	a.opening = opening{}
	s.mu.Unlock()
	if o.number > 0 {
		s.session.Consumed(o.number, o.size)
	}
}

// deliverCredit takes more credit for a stream of this end's. It reports false for one that no
// honest peer gives. A stream that is given up here may get some until the peer knows.
func (s *Streams) deliverCredit(m Incoming) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credits++
	if len(m.Body) != creditSize || !s.wasSent(m.Answers) || s.credits > s.sent/minCreditStep {
		return false
	}
	w := s.out[m.Answers]
	return w == nil || w.addCredit(binary.BigEndian.Uint64(m.Body))
}
