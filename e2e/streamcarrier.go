package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/internal/engine"
)

// A streamCarrier is a session as its streams see it, see [streams.Session].
type streamCarrier struct{ session *Session }

func (c streamCarrier) Submit(ctx context.Context, m streams.Outgoing) (uint64, error) {
	out := outgoing{Header: m.Header, body: m.Body}
	if m.Writer != nil {
		out.waits = m.Writer
	}
	err := c.session.submit(ctx, &out)
	return out.number, err
}

func (c streamCarrier) Await(ctx context.Context, number uint64) error {
	c.session.wanted.Add(1)
	defer c.session.wanted.Add(-1)
	return c.session.arrived(ctx, number)
}

func (c streamCarrier) Sent() uint64                     { return c.session.engine.Sent() }
func (c streamCarrier) Acked() uint64                    { return c.session.engine.Acked() }
func (c streamCarrier) AnswersTo(messages uint64) uint64 { return c.session.answersTo(messages) }

func (c streamCarrier) Consumed(number uint64, size int) {
	c.session.consumed(incoming{Header: engine.Header{Kind: engine.KindStreamOpen}, number: number, size: size})
}

func (c streamCarrier) Want() {
	c.session.wanted.Add(1)
	c.session.pump()
}

func (c streamCarrier) Unwant() { c.session.wanted.Add(-1) }

func (c streamCarrier) Stored() bool          { return c.session.keeper != nil }
func (c streamCarrier) Done() <-chan struct{} { return c.session.ended }

func (c streamCarrier) Err() *CloseError {
	if c.session.over() {
		return c.session.err
	}
	return nil
}

// deliver hands a message of a stream on, whose body is somebody else's memory. The other
// end itself has made it, so one that cannot be ends the session.
func (c streamCarrier) deliver(m incoming) error {
	defer c.session.schedule() // of an ack
	if c.session.streams.Deliver(streams.Incoming{Header: m.Header, Number: m.number, Body: m.body, Size: m.size}) {
		return nil
	}
	return c.session.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
}
