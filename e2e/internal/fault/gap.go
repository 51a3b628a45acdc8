package fault

import (
	"fmt"
	"strconv"

	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/internal/engine"
)

// A GapError says which messages that this end has sent are not known to have
// arrived: each of them may have, or not. It is part of the [CloseError] of every session but
// those that this end has closed once everything had arrived, and those that are Stored. All messages before First have arrived at the other
// end's session. What a Send has refused with an error has no number.
type GapError struct {
	First uint64 // number of the first such message; a session's messages are numbered from 1
	Count int    // of such messages; they follow one another

	messages []message.Message
}

// NewGap returns the gap of a session that is over. The messages have their headers, and
// signatures.
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

// Messages returns the messages themselves, in their order, for a session that comes
// after. Requests of a Call are among them, answers are not: nobody waits for those any
// more. They are plaintext, and nowhere in what a GapError prints.
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
