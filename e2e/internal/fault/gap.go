package fault

import (
	"fmt"
	"strconv"

	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/internal/engine"
)

// A GapError says which messages that this end has sent are not known to have arrived: each may
// have, or not. All messages before First have arrived at the other end's session. A message
// that Send has refused with an error has no number.
//
// A GapError is part of the [CloseError] of every session, unless this end closed the session
// after everything had arrived, or the session is Stored.
type GapError struct {
	First uint64 // number of the first such message; a session's messages are numbered from 1
	Count int    // of such messages; they follow one another

	messages []message.Message
}

// NewGap returns the gap of a session that is over. The messages begin with their headers, and
// then their signatures if they are signed.
func NewGap(first uint64, messages [][]byte, signed bool) *GapError {
	gap := &GapError{First: first, Count: len(messages)}
	for i, m := range messages {
		h, size, err := engine.ParseHeader(m, "")
		if signed {
			size += engine.SignatureSize
		}
		if err == nil && size <= len(m) && (h.Kind == engine.KindMessage || h.Kind == engine.KindRequest) {
			gap.messages = append(gap.messages, message.Message{Type: h.Type, Time: h.Time, ID: first + uint64(i), Data: m[size:]})
		}
	}
	return gap
}

// Messages returns the messages themselves, in their order, to send in a later session. They
// include the requests of Calls but no answers, because nobody waits for those any more. They
// are plaintext, and a GapError never prints them.
func (e *GapError) Messages() []message.Message { return e.messages }

// Error returns one line with numbers only.
func (e *GapError) Error() string {
	switch e.Count {
	case 0:
		return "e2e: every message that was sent has arrived"
	case 1:
		return "e2e: message " + strconv.FormatUint(e.First, 10) + " is not known to have arrived"
	}
	return fmt.Sprintf("e2e: messages %d to %d are not known to have arrived", e.First, e.First+uint64(e.Count)-1)
}

// Format prints no messages, whatever the verb (A42).
func (e *GapError) Format(f fmt.State, _ rune) { fmt.Fprint(f, e.Error()) }
