package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/calls"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/e2e/internal/upkeep"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// newSession returns a session with its first line. The session's context has the values of life.
func newSession(life context.Context, conn transport.Conn, made *engine.Handshake, grant Grant, cfg *config, events *events) *Session {
	s := bareSession(life, made.Session(), cfg, events)
	s.flow.Use(newLine(conn, s.engine.Link(), made.Hop(), cfg.MaxMessage))
	s.entitle(s.engine.Link(), made.Peer(), grant)
	return s
}

// bareSession returns a session that has no line yet.
func bareSession(life context.Context, established *engine.Session, cfg *config, events *events) *Session {
	s := &Session{
		engine:    established,
		id:        logID(established.ID()),
		local:     cfg.localEnd,
		events:    events,
		peer:      Peer{PublicIdentity: established.Peer()},
		found:     func() {},
		renewed:   func() {},
		onRefused: cfg.Refused,
	}
	s.updates.session = s
	s.followed.Ask = s.follow
	if established.Client() {
		s.reminder = upkeep.ReminderOf(cfg.Identity, "client")
	}
	s.flow = flow.New(life, established, flowUser{s}, flow.Config{
		Identity: cfg.Identity, MaxMessage: cfg.MaxMessage, Window: cfg.Window, SendTimeout: cfg.SendTimeout,
		IdleTimeout: cfg.IdleTimeout, ParkTimeout: cfg.ParkTimeout, MaxAge: cfg.MaxAge,
	})
	s.calls = calls.New(s.flow, established, calls.Limits{Calls: cfg.MaxCalls, Window: cfg.Window}, s.refusedThere)
	s.streams = streams.New(streamCarrier{s}, s.flow.Life(), streams.Limits{Window: cfg.Window, MaxMessage: cfg.MaxMessage})
	return s
}

// begun starts a new session's clocks.
func (s *Session) begun() *Session {
	if s.flow.Line() != nil { // otherwise the first line tells it
		s.events.tell(Event{State: StateSecure, Session: s, Transport: s.Info().Transport})
	}
	s.flow.Start()
	s.remind()
	if s.reminder != nil && s.local.keepAlive < 0 { // it checks no connection
		upkeep.Hourly(s, func(s *Session) bool {
			if s.flow.Over() {
				return false
			}
			s.remind()
			return true
		})
	}
	if s.keeper != nil {
		s.keeper.Watch()
	}
	if s.restored {
		s.flow.RefuseInterrupted()
	}
	return s
}
