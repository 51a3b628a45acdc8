package e2e

import (
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/engine"
)

// The credit of a stream is how many bytes of it may be sent, from its beginning. Each
// stream has its own, so that one which nobody reads holds up its own writer and nothing
// else. The body of a credit:
//
//	size  meaning
//	8     bytes of the stream's pieces that may be sent in all
const (
	streamCredit     = 16 << 10 // to begin with
	streamCreditStep = 4 << 10  // what each credit adds at least, and what is read before it
	streamCreditMost = 1 << 30  // what each adds at most
	streamCreditSize = 8
)

// lent returns how much of the session's window the unread part of a stream takes, of
// what has come or may come. It is called under mu.
func (a *arrival) lent() uint64 { return max(a.granted-a.taken, streamCredit) - streamCredit }

// took counts bytes of a stream that the application has taken, and whose memory is free.
func (s *Session) took(a *arrival, n int) {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.reader == nil {
		return
	}
	t.lent -= a.lent()
	a.taken += uint64(n)
	t.lent += a.lent()
	s.look(a)
}

// due returns the credit that is to be told of a stream, or 0. A stream may take half of
// what the others have left of the window, so that there is some left for one more; and
// each of several that are read comes to have as much as the others. The sender is told
// when it is half of that. It is called under mu.
func (t *streams) due(a *arrival, window int) uint64 {
	unread := streamCredit + (uint64(window)-(t.lent-a.lent()))/2
	credit := a.taken + unread
	if a.reader == nil || a.ended || credit < a.granted+unread/2 || a.taken < a.marked+streamCreditStep {
		return 0
	}
	if more := credit - a.granted; more > streamPiece {
		credit -= more % streamPiece // whole pieces, or each credit would end in a small one
	}
	return credit
}

// look has the sender of a stream told what is due. It is called under mu.
func (s *Session) look(a *arrival) {
	t := &s.streams
	if a.reader != nil && a.accepted && a.ended && a.taken == a.came {
		a.owed = engine.KindStreamDone
		if a.came > 0 { // else the application has yet to look
			t.unheld(a.reader)
		}
	}
	if (a.owed != 0 || t.due(a, s.window) > 0) && !t.telling {
		t.telling = true
		go s.tellStreams()
	}
}

// tellStreams tells the senders of streams what is due, one after the other. What comes up
// meanwhile is one word for each stream at most, however long the first takes.
func (s *Session) tellStreams() {
	for m, a := s.nextWord(); m != nil; m, a = s.nextWord() {
		if err := s.submit(s.life, m); err != nil {
			return // the session is over
		}
		s.settleOpen(a)
	}
}

// nextWord returns what is due about a stream, or nil if nothing is.
func (s *Session) nextWord() (*outgoing, *arrival) {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, a := range t.in {
		m := &outgoing{Header: engine.Header{Kind: a.owed, Answers: id}}
		if credit := t.due(a, s.window); a.owed == 0 && credit > 0 {
			t.grant(a, credit)
			m.Kind, m.body = engine.KindStreamCredit, binary.BigEndian.AppendUint64(nil, credit)
		}
		if a.owed = 0; m.Kind != 0 {
			t.told(id, a, m.Kind)
			return m, a
		}
	}
	t.telling = false
	return nil, nil
}

// grant counts a credit that is told. It is called under mu.
func (t *streams) grant(a *arrival, credit uint64) {
	t.lent -= a.lent()
	a.granted, a.marked = credit, a.taken
	t.lent += a.lent()
}

// told forgets a stream behind its last word. It is called under mu.
func (t *streams) told(id uint64, a *arrival, word engine.Kind) {
	if word == engine.KindStreamDone || word == engine.KindStreamCancel && a.ended {
		delete(t.in, id)
	}
}

// settleOpen lets the other end forget a stream that an end which is stored has refused:
// not before it knows so, or it would take the stream for one that has arrived.
func (s *Session) settleOpen(a *arrival) {
	if s.keeper != nil && s.Flush(s.life) == nil {
		s.openSettled(a)
	}
}

func (s *Session) openSettled(a *arrival) {
	s.streams.mu.Lock()
	m := a.opened
	a.opened = incoming{}
	s.streams.mu.Unlock()
	if m.number > 0 {
		s.consumed(m)
	}
}

// credited takes more credit for a stream of this end's, or reports that no honest end
// gives it. One that is given up here may get some too, until the other end knows.
func (s *Session) credited(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.out[m.Answers]
	t.credits++
	if len(m.body) != streamCreditSize || !s.mayName(m.Answers) || t.credits > t.sent/streamCreditStep {
		return false
	}
	return w == nil || w.allow(binary.BigEndian.Uint64(m.body))
}

// mayName reports whether the number is one of a message that this end has sent.
func (s *Session) mayName(number uint64) bool { return number > 0 && number <= s.engine.Sent() }

// sending counts bytes that are about to be sent.
func (t *streams) sending(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent += uint64(n)
}
