package fault

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A Refusal says why an end did not take a message.
type Refusal uint16

// Refusals.
const (
	RefusedType         Refusal = iota + 1 // it serves no messages of this type
	RefusedUnauthorized                    // the sender may not send this
	RefusedFailed                          // its function failed; only that end knows why
	RefusedBusy                            // too many requests wait already: try again later
	RefusedValue                           // the message is not a value of the type that was expected
	refusedReply                           // a ReplyError follows
	RefusedInterrupted                     // the process that served it has ended: it may have been served, or in part
)

var refusalTexts = map[Refusal]string{
	RefusedType:         "it does not serve messages of this type",
	RefusedUnauthorized: "this end may not send such a message",
	RefusedFailed:       "its function failed",
	RefusedBusy:         "it is busy: try again later",
	RefusedValue:        "the message is not the value that it expects",
	RefusedInterrupted:  "its program ended while it served it: it may have been served, so find out before you send it again",
}

// RefusalText says in words why a message was refused. known is false for reasons that only later
// versions send.
func RefusalText(why Refusal) (text string, known bool) {
	text, known = refusalTexts[why]
	return text, known
}

// A RefusedError says that the other end did not take a message. The session goes on.
type RefusedError struct {
	ID     uint64 // number of the message, as in Message.ID
	Reason Refusal
}

// Error returns one line.
func (e *RefusedError) Error() string {
	why, known := RefusalText(e.Reason)
	if !known {
		why = "for a reason that this version does not know (" + strconv.Itoa(int(e.Reason)) + "): upgrade this end to read it"
	}
	return "e2e: the other end refused message " + strconv.FormatUint(e.ID, 10) + ": " + why
}

// A ReplyError is an error that crosses the wire. If a function that serves requests returns
// one, or an error that wraps one, [Session.Call] at the other end returns the same. No other
// error's text leaves its program.
type ReplyError struct {
	Code uint16 // what the application says it is
	Text string // at most 1,024 bytes; more is cut off
}

// Error returns one line of printable text.
func (e *ReplyError) Error() string {
	return fmt.Sprintf("e2e: the other end answered with error %d: %s", e.Code, safetext.Line(e.Text, maxReplyText))
}

// maxReplyText bounds the text of a ReplyError, in bytes.
const maxReplyText = 1024

// The body of a refusal:
//
//	size  meaning
//	2     why, see Refusal
//	2     code of a ReplyError, if why says so, and
//	rest  its text: at most 1,024 bytes of UTF-8

func AppendRefusal(dst []byte, why Refusal, reply *ReplyError) []byte {
	if reply == nil {
		return binary.BigEndian.AppendUint16(dst, uint16(why))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(refusedReply))
	return append(binary.BigEndian.AppendUint16(dst, reply.Code), replyText(reply.Text)...)
}

// replyText returns the part of a text that is sent.
func replyText(s string) string {
	for len(s) > maxReplyText || !utf8.ValidString(s) {
		if len(s) <= maxReplyText {
			return ""
		}
		s = s[:maxReplyText]
		for len(s) > maxReplyText-utf8.UTFMax && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

// ParseRefusal returns the error that the body of a refusal stands for. id is the refused message.
func ParseRefusal(id uint64, body []byte) (_ error, ok bool) {
	if len(body) < 2 {
		return nil, false
	}
	why, rest := Refusal(binary.BigEndian.Uint16(body)), body[2:]
	switch {
	case why == refusedReply && len(rest) >= 2 && len(rest)-2 <= maxReplyText && utf8.Valid(rest[2:]):
		return &ReplyError{binary.BigEndian.Uint16(rest), string(rest[2:])}, true
	case why > 0 && why != refusedReply && len(rest) == 0: // also one that only later versions know
		return &RefusedError{id, why}, true
	}
	return nil, false
}
