package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/internal/engine"
)

// A streamCarrier is a [streams.Session]: what a session's streams need of the session.
type streamCarrier struct{ session *Session }

func (c streamCarrier) Submit(ctx context.Context, m streams.Outgoing) (uint64, error) {
	out := flow.Outgoing{Header: m.Header, Body: m.Body}
	if m.Writer != nil {
		out.Waits = m.Writer
	}
	err := c.session.flow.Submit(ctx, &out)
	return out.Number, err
}

func (c streamCarrier) Await(ctx context.Context, number uint64) error {
	c.session.flow.Want()
	defer c.session.flow.Unwant()
	return c.session.flow.Arrived(ctx, number)
}

func (c streamCarrier) Sent() uint64                     { return c.session.engine.Sent() }
func (c streamCarrier) Acked() uint64                    { return c.session.engine.Acked() }
func (c streamCarrier) AnswersTo(messages uint64) uint64 { return c.session.calls.AnswersTo(messages) }

func (c streamCarrier) Consumed(number uint64, size int) {
	c.session.flow.Consumed(flow.Incoming{Header: engine.Header{Kind: engine.KindStreamOpen}, Number: number, Size: size})
}

func (c streamCarrier) Want()   { c.session.flow.Want() }
func (c streamCarrier) Unwant() { c.session.flow.Unwant() }

func (c streamCarrier) Stored() bool          { return c.session.flow.Stored() }
func (c streamCarrier) Done() <-chan struct{} { return c.session.flow.Done() }
func (c streamCarrier) Err() *CloseError      { return c.session.flow.Err() }

// deliver passes a message of a stream on. The body is valid during the call only. The other end itself
// has made the message, so an impossible one ends the session.
func (c streamCarrier) deliver(m flow.Incoming) error {
	defer c.session.flow.Schedule() // of an ack
	if c.session.streams.Deliver(streams.Incoming{Header: m.Header, Number: m.Number, Body: m.Body, Size: m.Size}) {
		return nil
	}
	return c.session.flow.Fail(&CloseError{Remote: true, Err: ErrMisbehaved})
}
