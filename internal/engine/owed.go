package engine

import (
	"encoding/binary"
	"slices"
)

// A request is acknowledged when it has arrived: who sent it must not be held up by how long
// it takes to serve. So a process that ends takes with it what it was serving, of which the
// other end has nothing to send again. The state says what that is, and whoever goes on from
// it answers in its place.

// owe remembers the last message if it is a request, at an end that is stored.
func (i *inbox) rememberRequest(request bool) {
	if request && i.stored {
		i.owed = append(i.owed, i.received)
	}
}

// answer forgets the request that a message with this header answers, if it answers one.
// From here on the answer is among what is sent until it has arrived.
func (i *inbox) forgetAnswered(header []byte) {
	if len(i.owed) == 0 || len(header) < headerSize+answersSize {
		return
	}
	switch Kind(header[0]) {
	case KindAnswer, KindRefusal:
		number := binary.BigEndian.Uint64(header[headerSize:])
		if at, found := slices.BinarySearch(i.owed, number); found {
			i.owed = slices.Delete(i.owed, at, at+1)
		}
	}
}

// settled returns those of the requests that the other end will not send again.
func (i *inbox) acknowledgedOwed() []uint64 {
	at, _ := slices.BinarySearch(i.owed, i.safe().number+1)
	return i.owed[:at]
}

// Owed returns the numbers of the requests that a session which was restored has
// acknowledged and not answered: nobody serves them, and whoever asked still waits. Those
// that have come since are among them, until they are answered.
func (s *Session) Owed() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.in.owed)
}
