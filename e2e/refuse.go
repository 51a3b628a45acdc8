package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strconv"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/safetext"
)

// A Refusal says why an end did not take a message.
type Refusal uint16

// Refusals.
const (
	RefusedType         Refusal = iota + 1 // it serves no messages of this type
	RefusedUnauthorized                    // the sender may not send this
	RefusedFailed                          // its function failed; why is told there only
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

// A RefusedError says that the other end did not take a message. The session goes on.
type RefusedError struct {
	ID     uint64 // number of the message, see [Message.ID]
	Reason Refusal
}

// Error returns one line.
func (e *RefusedError) Error() string {
	why, known := refusalTexts[e.Reason]
	if !known {
		why = "for a reason that this version does not know (" + strconv.Itoa(int(e.Reason)) + "): upgrade this end to read it"
	}
	return "e2e: the other end refused message " + strconv.FormatUint(e.ID, 10) + ": " + why
}

// A ReplyError is an error that crosses the wire. A function that serves requests
// returns it, or an error that wraps it, and the [Session.Call] at the other end returns
// the same. The text of no other error leaves its program.
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

func appendRefusal(dst []byte, why Refusal, reply *ReplyError) []byte {
	if reply == nil {
		return binary.BigEndian.AppendUint16(dst, uint16(why))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(refusedReply))
	return append(binary.BigEndian.AppendUint16(dst, reply.Code), replyText(reply.Text)...)
}

// replyText returns what is sent of a text.
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

// parseRefusal returns the error that the body of a refusal of message id stands for.
func parseRefusal(id uint64, body []byte) (_ error, ok bool) {
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

// refusalOf is the refusal of a message. Nothing of the error crosses the wire but the text
// of a [ReplyError].
func refusalOf(number uint64, why Refusal, err error) *outgoing {
	var reply *ReplyError
	if why == RefusedFailed {
		reply, _ = errors.AsType[*ReplyError](err)
	}
	return &outgoing{Header: engine.Header{Kind: engine.KindRefusal, Answers: number}, body: appendRefusal(nil, why, reply)}
}

// A refused is what is left of a message that was not taken, while its refusal waits: no more
// than the message counts.
type refused struct {
	number uint64
	size   int
	kind   engine.Kind
	why    Refusal
}

// refuse tells the other end that a message was not taken, without waiting. Room for
// another one is made only once it knows; who sends what is refused and takes no
// refusals is cut off.
func (s *Session) refuse(m incoming, why Refusal) {
	s.refusedHere.Add(1)
	if !s.refusing.put(refused{m.number, m.size, m.Kind, why}, s.window/minCost, s.sendRefusal) {
		s.fail(&CloseError{Remote: true, Err: ErrStalled})
	}
}

// refuseTaken is refuse for a message that the application has had.
func (s *Session) refuseTaken(m incoming, why Refusal) {
	m.Kind = engine.KindRequest // nothing is left to consume
	s.refuse(m, why)
}

// A badRequest is the error of a request that is not the value it should be.
type badRequest struct{ error }

func (e badRequest) Unwrap() error { return e.error }

// interrupted refuses what another process had taken of the other end's requests and not
// answered when it ended: nobody serves them any more, and whoever asked would wait.
func (s *Session) interrupted() {
	for _, number := range s.engine.Owed() {
		s.refusing.put(refused{number: number, kind: engine.KindRequest, why: RefusedInterrupted}, math.MaxInt, s.sendRefusal)
	}
}

// minCost is what the smallest message counts, in bytes.
const minCost = 64

// sendRefusal fails only with the session.
func (s *Session) sendRefusal(r refused) {
	s.submit(s.life, refusalOf(r.number, r.why, nil))
	s.consumed(incoming{Header: engine.Header{Kind: r.kind}, number: r.number, size: r.size})
}

// maxTold is how many refusals wait for a slow callback.
const maxTold = 16

// toldRefused tells the application that the other end has refused a message which
// nobody waits for.
func (s *Session) toldRefused(err error) {
	if why, ok := err.(*RefusedError); ok {
		s.telling.put(why, maxTold, s.tellRefused)
	}
}

func (s *Session) tellRefused(why *RefusedError) {
	defer func() {
		if v := recover(); v != nil {
			s.logger().LogAttrs(context.Background(), slog.LevelError, "Refused panicked", attrsOfError(outcomePanic, &PanicError{v, debug.Stack()})...)
		}
	}()
	if s.onRefused == nil {
		s.doorbell.refusedThere(s, why)
		return
	}
	s.onRefused(s, why)
}

// logger is that of this end.
func (s *Session) logger() *slog.Logger { return s.party.cfg.Logger }
