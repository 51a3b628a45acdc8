package engine

import (
	"github.com/hopseal/hopseal/internal/strict"
)

// A whole window of messages may be unacknowledged, and a state is stored with each message.
// So a driver stores most messages only once, apart from the state: it takes the messages
// that are not stored yet ([Session.Unstored]), stores them, and says so
// ([Session.StoredApart]). What is stored apart is
//
//	type   meaning
//	array  messages that follow one another, each a bin

// A queuePosition is the point behind a message: its number, and the offset in the queue of
// the next one.
type queuePosition struct {
	number uint64
	offset int
}

// pop adjusts the position when message n, the oldest one, leaves the queue.
func (p *queuePosition) pop(n uint64, size int) {
	if p.number >= n {
		p.offset -= size
	} else {
		*p = queuePosition{n, 0}
	}
}

// An Apart holds messages that are stored apart from the state.
type Apart struct {
	First    uint64 // number of the first
	Messages []byte
}

// UnstoredSize returns how many bytes of padded messages the next state holds.
func (s *Session) UnstoredSize() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		return 0
	}
	return len(s.out.unacked.buf) - s.out.unacked.head - s.out.stored.offset
}

// Unstored returns the messages that the next state would hold, and the number of the last.
// It returns zeros for a session that was forgotten.
func (s *Session) Unstored() (a Apart, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		return a, 0
	}
	return Apart{s.out.stored.number + 1, s.out.appendMessages(nil)}, s.out.last
}

// StoredApart says that all messages through last, which Unstored returned, are stored apart:
// from here on no state holds them.
func (s *Session) StoredApart(last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		return
	}
	for p := &s.out.stored; p.number < last; p.number++ {
		p.offset += len(s.out.unacked.at(p.offset))
	}
}

// appendMessages appends the messages that are not stored apart.
func (o *outbox) appendMessages(dst []byte) []byte {
	dst = strict.AppendArray(dst, int(o.last-o.stored.number))
	for n, offset := o.stored.number, o.stored.offset; n < o.last; n++ {
		plain := o.unacked.at(offset)
		offset += len(plain)
		_, message, _ := parsePadded(plain, 0)
		dst = strict.AppendBin(dst, message)
	}
	return dst
}

// restoreApart reads the messages that were stored apart. They must begin at the first
// unacknowledged message, or before it.
func (o *outbox) restoreApart(parts []Apart, maxMessage int) (ok bool) {
	for _, p := range parts {
		r := strict.NewReader(p.Messages)
		for n, left := p.First, r.ArrayLen(1, maxUnacked); left > 0; n, left = n+1, left-1 {
			message := r.Bin(0, maxMessage)
			switch {
			case r.Failed() || n > o.last+1:
				return false
			case n == o.last+1: // earlier ones have arrived meanwhile
				o.append(nil, message)
			}
		}
		if r.Done() != nil {
			return false
		}
	}
	o.stored = queuePosition{o.last, len(o.unacked.buf) - o.unacked.head}
	return true
}
