package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// A flowUser is a [flow.User]: what a session's flow needs of the session.
type flowUser struct{ session *Session }

func (u flowUser) Deliver(m flow.Incoming) error {
	s := u.session
	if m.Kind >= engine.KindStreamOpen {
		return streamCarrier{s}.deliver(m)
	}
	return s.calls.Deliver(m)
}

func (u flowUser) Streaming() bool { return u.session.streams.Any() }

func (u flowUser) Lost(why *CloseError) {
	s := u.session
	s.events.tell(Event{State: StateReconnecting, Session: s, Err: fault.Disconnected(why)})
	s.lost(why)
}

func (u flowUser) Found(on transport.Conn) {
	s := u.session
	s.found()
	if on != nil {
		s.events.tell(Event{State: StateSecure, Session: s, Transport: on.Info()})
	}
}

func (u flowUser) Decide(on *flow.Line, what engine.Event) {
	switch s := u.session; what {
	case engine.Rekeyed:
		s.renewed()
	case engine.Updated:
		go s.updates.decide(on)
	case engine.Answered:
		s.updates.answered(on)
	}
}

func (u flowUser) Renew() { u.session.updates.renew() }

func (u flowUser) Tick() { u.session.remind() }

func (u flowUser) Ended(why *CloseError) {
	u.session.events.tell(Event{State: StateClosed, Session: u.session, Err: why})
}

func (u flowUser) HungUp() {
	u.session.updates.stop()
	u.session.follower.End()
}
