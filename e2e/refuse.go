package e2e

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// refusalOf is the refusal of a message. Nothing of the error crosses the wire but the text
// of a [ReplyError].
func refusalOf(number uint64, why Refusal, err error) *outgoing {
	var reply *ReplyError
	if why == RefusedFailed {
		reply, _ = errors.AsType[*ReplyError](err)
	}
	return &outgoing{Header: engine.Header{Kind: engine.KindRefusal, Answers: number}, body: fault.AppendRefusal(nil, why, reply)}
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

// Refuse tells the other end that a message which [Session.ReceiveMessage] has returned was
// not taken, and why: it learns that through its [Options.Refused]. Refuse does not wait. It
// must be called once at most for each message.
func (s *Session) Refuse(m Message, why Refusal) {
	// Nothing is left to consume of a message that the application was given, as of a request.
	taken := engine.Header{Kind: engine.KindRequest}
	s.refuse(incoming{Header: taken, number: m.ID, size: len(m.Data)}, sendable(why))
}

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
			s.party.logger().LogAttrs(context.Background(), slog.LevelError, "Refused panicked", attrsOfError(outcomePanic, &PanicError{Value: v, Stack: debug.Stack()})...)
		}
	}()
	if s.onRefused == nil {
		s.doorbell.refusedThere(s, why)
		return
	}
	s.onRefused(s, why)
}
