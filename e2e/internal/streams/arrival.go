package streams

import (
	"encoding/binary"
	"slices"

	"github.com/hopseal/hopseal/internal/engine"
)

// An arrival is a stream of the peer's, from its opening until the peer knows that nothing of it
// is left here. The mu of its Streams guards it.
type arrival struct {
	reader   *Reader // nil once nobody wants the stream
	opening  opening // of a stream that a stored end refuses, until the peer knows
	accepted bool
	ended    bool        // all of it has come
	owed     engine.Kind // the last message to the sender that is due: cancel or done; 0: none

	granted uint64 // bytes that may be sent
	came    uint64 // bytes that have come
	taken   uint64 // bytes that the application has taken
	marked  uint64 // the value of taken when the last credit was sent
}

// opening has what is needed to acknowledge the message that opened a stream.
type opening struct {
	number uint64 // 0: nothing is to be acknowledged
	size   int
}

// addPiece counts the bytes of a piece. It reports false for an empty piece and for one beyond
// the credit.
func (a *arrival) addPiece(n int) bool {
	if n == 0 || a.ended || uint64(n) > a.granted-a.came {
		return false
	}
	a.came += uint64(n)
	return true
}

// complete ends a stream. It reports false if not all of it has come. The caller holds mu.
func (s *Streams) complete(id uint64, a *arrival, total []byte) bool {
	if a.ended || len(total) != endSize || binary.BigEndian.Uint64(total) != a.came {
		return false
	}
	a.ended = true
	s.lend(a, func() {
		if a.granted = a.came; a.reader == nil {
			a.taken = a.came
		}
	})
	if a.reader == nil && a.owed == 0 { // the sender knows that nobody wants it
		delete(s.in, id)
	}
	s.tellIfDue(a)
	return true
}

// drop keeps nothing of a stream any more. The caller holds mu.
func (s *Streams) drop(a *arrival) {
	s.waiting = slices.DeleteFunc(s.waiting, func(r *Reader) bool { return r == a.reader })
	s.lend(a, func() { a.reader, a.taken = nil, a.granted })
}

// giveUp drops a stream that this end does not want, and tells the sender. What still comes of it
// is dropped.
func (s *Streams) giveUp(a *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.reader == nil {
		return
	}
	s.drop(a)
	if a.owed = engine.KindStreamCancel; a.ended {
		a.owed = engine.KindStreamDone
	}
	s.tellIfDue(a)
}

// took counts bytes that the application has taken of a stream, and whose memory is free.
func (s *Streams) took(a *arrival, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.reader == nil {
		return
	}
	s.lend(a, func() { a.taken += uint64(n) })
	s.tellIfDue(a)
}
