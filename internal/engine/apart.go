package engine

import (
	"github.com/hopseal/hopseal/internal/strict"
)

// What is not known to have arrived may be as much as a window, and a state is stored with
// each message. So a driver stores most of it once, apart from the state: it takes what has
// gathered behind the last time, stores that, and says so. What is stored apart is
//
//	type   meaning
//	array  messages that follow one another, each a bin

// A place is behind a message: its number, and the offset in the queue of what follows.
type queuePosition struct {
	number uint64
	offset int
}

// pop says that message n leaves the queue, whose oldest it was.
func (p *queuePosition) pop(n uint64, size int) {
	if p.number >= n {
		p.offset -= size
	} else {
		*p = queuePosition{n, 0}
	}
}

// An Apart is messages that were stored apart from the state.
type Apart struct {
	First    uint64 // number of the first
	Messages []byte
}

// Gathered returns how many bytes of padded messages the next state has in it.
func (s *Session) UnstoredSize() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		return 0
	}
	return len(s.out.unacked.buf) - s.out.unacked.head - s.out.stored.offset
}

// Gather returns what the next state would have of messages, and the number of the last, or
// zeros for a session that was forgotten.
func (s *Session) Unstored() (a Apart, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		return a, 0
	}
	return Apart{s.out.stored.number + 1, s.out.appendMessages(nil)}, s.out.last
}

// Apart says that all messages through this one, which was Gathered, are stored apart: no
// state has them from here on.
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

// restoreApart reads what was stored apart. It must follow on what was acknowledged.
func (o *outbox) restoreApart(parts []Apart, maxMessage int) (ok bool) {
	for _, p := range parts {
		r := strict.NewReader(p.Messages)
		for n, left := p.First, r.ArrayLen(1, maxUnacked); left > 0; n, left = n+1, left-1 {
			message := r.Bin(0, maxMessage)
			switch {
			case r.Failed() || n > o.last+1:
				return false
			case n == o.last+1: // else it has arrived meanwhile
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
