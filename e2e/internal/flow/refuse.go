package flow

import (
	"errors"
	"math"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// A refusal is what is kept of a message that was not taken, while its refusal waits: no more than
// the message counts.
type refusal struct {
	number uint64
	size   int
	kind   engine.Kind
	why    fault.Refusal
}

// minCost is what the smallest message counts, in bytes.
const minCost = 64

// Refuse tells the peer that a message was not taken, without waiting. Room for another message is
// made only once the peer knows. A peer that sends what is refused and takes no refusals is cut off.
func (f *Flow) Refuse(m Incoming, why fault.Refusal) {
	f.refusedHere.Add(1)
	if !f.refusing.Put(refusal{m.Number, m.Size, m.Kind, why}, f.cfg.Window/minCost, f.sendRefusal) {
		f.Fail(&fault.CloseError{Remote: true, Err: fault.ErrStalled})
	}
}

// Reject sends the refusal of a request that was served, with the text of err if that is a
// [fault.ReplyError], and nothing else of it. It waits until the refusal is on its way, and pays
// the debt.
func (f *Flow) Reject(m Incoming, why fault.Refusal, err error, owed *Debt) {
	f.refusedHere.Add(1)
	out := refusalOf(m.Number, why, err)
	out.Debt = owed
	f.Submit(f.life, out)
}

// RefuseInterrupted refuses what another process had taken of the peer's requests and not answered
// when it ended: nobody serves them any more, and whoever asked would wait.
func (f *Flow) RefuseInterrupted() {
	for _, number := range f.engine.Owed() {
		f.refusing.Put(refusal{number: number, kind: engine.KindRequest, why: fault.RefusedInterrupted}, math.MaxInt, f.sendRefusal)
	}
}

// sendRefusal fails only with the session.
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
