package flow

import (
	"errors"
	"math"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// A refusal is what this end keeps of a refused message until the refusal is sent. It takes no more memory
// than the message cost.
type refusal struct {
	number uint64
	size   int
	kind   engine.Kind
	why    fault.Refusal
}

// minCost is the cost of the smallest message, in bytes.
const minCost = 64

// Refuse tells the peer that a message was not taken, without waiting. It makes room for another message
// only once the refusal is sent. If the peer takes no refusals and goes on sending such messages, Refuse ends
// the session.
func (f *Flow) Refuse(m Incoming, why fault.Refusal) {
	f.refusedHere.Add(1)
	if !f.refusing.Put(refusal{m.Number, m.Size, m.Kind, why}, f.cfg.Window/minCost, f.sendRefusal) {
		f.Fail(&fault.CloseError{Remote: true, Err: fault.ErrStalled})
	}
}

// Reject sends the refusal of a request that was served. If err is a [fault.ReplyError], the refusal has
// its code and text, else nothing of err. Reject returns when the refusal is being sent, and then stops
// counting the debt.
func (f *Flow) Reject(m Incoming, why fault.Refusal, err error, owed *Debt) {
	f.refusedHere.Add(1)
	out := refusalOf(m.Number, why, err)
	out.Debt = owed
	f.Submit(f.life, out)
}

// RefuseInterrupted refuses the requests that an earlier process had taken and not answered when it ended:
// nobody serves them any more, and their senders would wait for ever.
func (f *Flow) RefuseInterrupted() {
	for _, number := range f.engine.Owed() {
		f.refusing.Put(refusal{number: number, kind: engine.KindRequest, why: fault.RefusedInterrupted}, math.MaxInt, f.sendRefusal)
	}
}

// sendRefusal sends a refusal. It fails only if the session has ended.
func (f *Flow) sendRefusal(r refusal) {
	f.Submit(f.life, refusalOf(r.number, r.why, nil))
	f.Consumed(Incoming{Header: engine.Header{Kind: r.kind}, Number: r.number, Size: r.size})
}

func refusalOf(number uint64, why fault.Refusal, err error) *Outgoing {
	var reply *fault.ReplyError
	if why == fault.RefusedFailed {
		reply, _ = errors.AsType[*fault.ReplyError](err)
	}
	return &Outgoing{Header: engine.Header{Kind: engine.KindRefusal, Answers: number}, Body: fault.AppendRefusal(nil, why, reply)}
}
