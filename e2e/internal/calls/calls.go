// Package calls matches the requests of one session with their answers.
//
// [Calls] submits a request to the flow of its session and waits until the session delivers the
// answer. A call survives the connections that it is sent over. The peer holds requests until it
// has answered them, so an [allowance] keeps the requests of this end within what the peer, with
// the same configuration, is ready to hold. No honest end refuses another's request for its size.
package calls

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/internal/engine"
)

// Calls are the requests of a session that wait for their answers.
type Calls struct {
	flow   *flow.Flow
	engine *engine.Session
	limits Limits

	// unclaimed gets the refusals of messages that no Call waits for.
	unclaimed func(*fault.RefusedError)

	turnedDown atomic.Uint64 // messages of this end that the peer has refused

	mu        sync.Mutex    // guards what follows
	slots     chan struct{} // holds a token for each Call under way; made with the first one
	waiting   map[uint64]*call
	allowance allowance
	replies   uint64 // answers and refusals that have come
}

// Limits are the limits of a session that concern its calls.
type Limits struct {
	Calls  int // under way at a time
	Window int // bytes that requests without an answer may cost
}

// New returns the calls of a session. There are none yet.
func New(f *flow.Flow, e *engine.Session, l Limits, unclaimed func(*fault.RefusedError)) *Calls {
	return &Calls{flow: f, engine: e, limits: l, unclaimed: unclaimed}
}

// Call sends a request and returns its answer, or the peer's refusal as an error.
func (c *Calls) Call(ctx context.Context, typ string, data []byte) ([]byte, error) {
	slots := c.places()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-c.flow.Done():
		return nil, c.flow.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m := &flow.Outgoing{Header: engine.Header{Kind: engine.KindRequest, Type: typ}, Body: data}
	share := c.ask(costOf(m))
	if err := c.awaitShare(ctx, share); err != nil {
		return nil, err
	}
	request := &call{of: c, cost: share.cost, sealed: make(chan struct{}), answered: make(chan answer, 1)}
	m.Waits = request
	failed := make(chan error, 1)
	go func() {
		if err := c.flow.Submit(ctx, m); err != nil {
			failed <- err
		}
	}()
	select { // one of these comes soon after the context's end; until then data is in use
	case <-request.sealed:
	case err := <-failed:
		c.withdraw(share)
		return nil, err
	}
	return c.await(ctx, request)
}

// costOf returns the most that a message can count at the peer.
func costOf(m *flow.Outgoing) int {
	return engine.Cost(engine.MaxHeader - engine.MaxType + len(m.Type) + len(m.Body))
}

// await waits for the answer to a request that has got its number.
func (c *Calls) await(ctx context.Context, request *call) ([]byte, error) {
	defer c.giveUp(request)
	c.flow.Want()
	defer c.flow.Unwant()
	select {
	case a := <-request.answered:
		return a.body, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.flow.Done():
	}
	select {
	case a := <-request.answered: // it came before the end
		return a.body, a.err
	default:
		return nil, c.flow.Err()
	}
}

// A call is a request that waits for its answer.
type call struct {
	of       *Calls
	number   uint64
	cost     int
	givenUp  bool          // nobody waits any more; guarded by of.mu
	sealed   chan struct{} // closed once number is set
	answered chan answer
}

type answer struct {
	body []byte
	err  error
}

// places returns the channel that holds a token for each Call under way.
func (c *Calls) places() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		c.slots = make(chan struct{}, c.limits.Calls)
	}
	return c.slots
}

// Numbered registers the request under its number. The flow calls it before it writes the request,
// because the answer may follow at once.
func (request *call) Numbered(number uint64) {
	c := request.of
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[uint64]*call{}
	}
	c.waiting[number] = request
	request.number = number
	close(request.sealed)
}

// giveUp records that nobody waits for an answer any more. The peer may still be working on it.
func (c *Calls) giveUp(waiting *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting.givenUp = true
}

// TurnedDown returns how many messages of this end the peer has refused.
func (c *Calls) TurnedDown() uint64 { return c.turnedDown.Load() }

// AnswersTo returns how many answers so many messages may get at most: one from each process that
// the peer was. A stored session goes on in another process, which serves again what was not
// acknowledged. Each process begins with a link, so the links bound their number.
func (c *Calls) AnswersTo(messages uint64) uint64 {
	return messages * (c.engine.Stats().Resumes + 1)
}

// Deliver gives an answer or a refusal to the Call that waits for it, and drops one that comes too
// late. No honest end answers a message that was not sent, or sends more answers than AnswersTo
// allows. If one does, Deliver ends the session and returns its error.
func (c *Calls) Deliver(m flow.Incoming) error {
	waiting, replies := c.take(m.Answers)
	a := answer{}
	ok := true
	if m.Kind == engine.KindRefusal {
		a.err, ok = fault.ParseRefusal(m.Answers, m.Body)
	}
	if sent := c.engine.Sent(); !ok || m.Answers == 0 || m.Answers > sent || replies > c.AnswersTo(sent) {
		return c.flow.Fail(&fault.CloseError{Remote: true, Err: fault.ErrMisbehaved})
	}
	if a.err != nil {
		c.turnedDown.Add(1)
	}
	switch {
	case waiting != nil && a.err == nil:
		a.body = bytes.Clone(m.Body)
		fallthrough
	case waiting != nil:
		waiting.answered <- a
	default:
		if why, ok := a.err.(*fault.RefusedError); ok {
			c.unclaimed(why)
		}
	}
	return nil
}

// take returns the call that waits for the reply to a message, or nil. It also returns how many
// replies have come, including this one.
func (c *Calls) take(number uint64) (_ *call, replies uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies++
	waiting := c.waiting[number]
	if waiting == nil {
		return nil, c.replies
	}
	delete(c.waiting, number)
	c.allowance.used -= waiting.cost
	c.allowance.grant(c.limits.Window)
	if waiting.givenUp {
		return nil, c.replies
	}
	return waiting, c.replies
}
