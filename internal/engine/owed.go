package engine

import (
	"encoding/binary"
	"slices"
)

// An end acknowledges a request when the request has arrived, so that its sender need not
// wait until it is served. If the process then ends while it serves the request, the other
// end does not send the request again. So the state lists such requests, and whoever goes on
// from the state answers them.

// rememberRequest remembers the last message if it is a request, in a stored session.
func (i *inbox) rememberRequest(request bool) {
	if request && i.stored {
		i.owed = append(i.owed, i.received)
	}
}

// forgetAnswered forgets the request that a message with this header answers, if it answers
// one. From here on the session keeps the answer, and sends it until it has arrived.
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

// acknowledgedOwed returns those unanswered requests that the other end will not send again.
func (i *inbox) acknowledgedOwed() []uint64 {
	at, _ := slices.BinarySearch(i.owed, i.safe().number+1)
	return i.owed[:at]
}

// Owed returns the numbers of the requests that the session has not answered. In a session
// just restored these are requests that the earlier process had acknowledged: nobody serves
// them any more, and the other end still waits. Later requests join them until they are
// answered.
func (s *Session) Owed() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.in.owed)
}
