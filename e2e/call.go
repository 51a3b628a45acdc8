package e2e

import (
	"bytes"
	"context"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// Call sends a request of a type and returns the answer of the function that serves it
// at the other end, see [Session.Serve]. Both survive the connections that they are sent over, so
// a Call waits until it is answered, its context ends, or the session does. If
// [Options.MaxCalls] are waiting already it waits for one of them first, and so it does
// while the requests that are not answered, with its own, are more than [Options.Window]
// bytes, unless there is none: an end with the same Window holds no more. Functions at both ends
// that call each other in turn must not need more than that: they would wait for each other,
// until a context ends.
//
// A context that ends costs nothing but the answer: the request may have been served,
// and is not called back; it counts until the other end has answered it. Errors: the context's; [*RefusedError]; [*ReplyError]; one that
// matches [ErrTooLarge]; one about the type, see [Message]; [*CloseError]. After a
// CloseError the request may have been served too; if it was not acknowledged, the
// [GapError] has it.
func (s *Session) Call(ctx context.Context, typ string, data []byte) ([]byte, error) {
	slots := s.calls.places(s.party.cfg.MaxCalls)
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-s.ended:
		return nil, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m := &outgoing{Header: engine.Header{Kind: engine.KindRequest, Type: typ}, body: data}
	share := s.calls.ask(costOf(m), s.window)
	if err := share.await(ctx, s); err != nil {
		return nil, err
	}
	c := &call{of: &s.calls, cost: share.cost, sealed: make(chan struct{}), answered: make(chan answer, 1)}
	m.waits = c
	failed := make(chan error, 1)
	go func() {
		if err := s.submit(ctx, m); err != nil {
			failed <- err
		}
	}()
	select { // both come soon after the context's end; until then data is in use
	case <-c.sealed:
	case err := <-failed:
		s.calls.withdraw(share, s.window)
		return nil, err
	}
	return s.await(ctx, c)
}

// costOf returns what a message counts at the other end, at most.
func costOf(m *outgoing) int {
	return engine.Cost(engine.MaxHeader - engine.MaxType + len(m.Type) + len(m.body))
}

// await waits for the answer to a request that is numbered.
func (s *Session) await(ctx context.Context, c *call) ([]byte, error) {
	defer s.calls.giveUp(c)
	s.wanted.Add(1)
	defer s.wanted.Add(-1)
	s.pump()
	select {
	case a := <-c.answered:
		return a.body, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.ended:
	}
	select {
	case a := <-c.answered: // it came before the end
		return a.body, a.err
	default:
		return nil, s.err
	}
}

// A call is a request that waits for its answer.
type call struct {
	of       *calls
	number   uint64
	cost     int
	givenUp  bool          // nobody waits any more; guarded by the mu of the session's calls
	sealed   chan struct{} // closed once number is set
	answered chan answer
}

type answer struct {
	body []byte
	err  error
}

// calls are the requests of a session that wait for their answers.
type calls struct {
	mu        sync.Mutex    // guards what follows
	slots     chan struct{} // made with the first Call
	waiting   map[uint64]*call
	allowance allowance
	replies   uint64 // answers and refusals that have come
}

// places returns the channel that holds a token for each Call under way.
func (c *calls) places(most int) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		c.slots = make(chan struct{}, most)
	}
	return c.slots
}

// Numbered is called before the request is written, as its answer may follow at once.
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

// giveUp says that nobody waits for an answer any more. The other end may be at it still.
func (c *calls) giveUp(waiting *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting.givenUp = true
}

// take returns who waits for the reply to a message, or nil, and how many replies have
// come with this one.
func (c *calls) take(number uint64, window int) (_ *call, replies uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies++
	waiting := c.waiting[number]
	if waiting == nil {
		return nil, c.replies
	}
	delete(c.waiting, number)
	c.allowance.used -= waiting.cost
	c.allowance.grant(window)
	if waiting.givenUp {
		return nil, c.replies
	}
	return waiting, c.replies
}

// answersTo returns how many answers there may be at most to so many messages: one of each
// by every process that the other end was. A stored session goes on in another one,
// which serves again what was not acknowledged; each begins with a link.
func (s *Session) answersTo(messages uint64) uint64 {
	return messages * (s.engine.Stats().Resumes + 1)
}

// reply gives an answer or a refusal to whoever waits for it. One to a message that was
// not sent, or more of them than answersTo, no honest end sends. One that comes too late
// is dropped.
func (s *Session) reply(m incoming) error {
	waiting, replies := s.calls.take(m.Answers, s.window)
	a := answer{}
	ok := true
	if m.Kind == engine.KindRefusal {
		a.err, ok = fault.ParseRefusal(m.Answers, m.body)
	}
	if sent := s.engine.Sent(); !ok || m.Answers == 0 || m.Answers > sent || replies > s.answersTo(sent) {
		return s.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
	}
	if a.err != nil {
		s.refusedThere.Add(1)
	}
	switch {
	case waiting != nil && a.err == nil:
		a.body = bytes.Clone(m.body)
		fallthrough
	case waiting != nil:
		waiting.answered <- a
	default:
		s.toldRefused(a.err)
	}
	return nil
}
