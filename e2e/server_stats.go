package e2e

import "github.com/hopseal/hopseal/e2e/internal/outcome"

// ServerStats are figures of a [Server] since it was made.
type ServerStats struct {
	Stats // of all its sessions, including those that have ended; Unacked only of those that are open

	Sessions   int // open now
	Parked     int // open sessions without a connection
	Handshakes int // under way now

	// Greeted counts connections by what became of them:
	//
	//	established      a session began
	//	resumed          a session went on
	//	restored         a session went on that another process had begun: see Config.Store
	//	not_authentic    what arrived proves nothing: see ReasonNotAuthentic
	//	untrusted        the Verifier did not accept the client
	//	peer_expired     the client's statement has expired or is from the future: its owner has to renew it
	//	unauthorized     Authenticate did not accept its credentials
	//	protocol         the client speaks another protocol, or signs otherwise: see ReasonProtocol
	//	identity         the client went away while the server's own identity had expired, or was revoked: see ReasonIdentity
	//	timeout          the client did not answer in time
	//	lost             the connection ended
	//	unknown_session  the client wanted to go on with a session that does not exist
	//	full             the server holds MaxSessions, or MaxSessionsPerIdentity of this client
	//	busy             there was no room among the handshakes, and the client was told when to come back: see MaxHandshakes
	//	evicted          the handshake had to make room for others: see MaxHandshakes
	//	shutdown         the server is shut down
	//	upgrade          ServeHTTP found no WebSocket handshake that it could accept
	//	abandoned        the context given to ServeConn ended
	//	rolled_back      an end has gone back to an earlier state of the session: see ReasonRolledBack
	//	store            the session store did not work
	//	panic            the Verifier panicked
	//	failed           anything else
	Greeted map[string]uint64

	// Ended counts sessions by how they ended: the reasons that [Options.Logger] lists.
	Ended map[string]uint64
}

// Stats returns the figures of this moment. It visits every open session, so call it once in
// some seconds. Package e2e/prom hands the figures to Prometheus.
func (srv *Server) Stats() ServerStats {
	handshakes := srv.lobby.Len()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	all := srv.totals.sessions
	for s := range srv.sessions {
		all.add(s.figures())
	}
	sessions := all.stats()
	sessions.IdentityExpires = srv.cfg.identityExpires()
	return ServerStats{
		Stats:      sessions,
		Sessions:   len(srv.sessions),
		Parked:     srv.parked.all.Len(),
		Handshakes: handshakes,
		Greeted:    srv.totals.greeted.Figures(outcome.Greetings),
		Ended:      srv.totals.ended.Figures(outcome.Endings),
	}
}

// totals is what a server counts. The server's mu guards it.
type totals struct {
	sessions       figures // of those that have ended
	greeted, ended outcome.Tally
}

func newTotals() totals { return totals{greeted: outcome.Tally{}, ended: outcome.Tally{}} }

// greeted counts a connection.
func (srv *Server) greeted(o outcome.Outcome) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.totals.greeted.Count(o, outcome.Greetings)
}

// conclude counts and forgets a session that has ended.
func (srv *Server) conclude(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	f := s.figures()
	f.Unacked = 0 // the gap has them, and nobody waits for them
	srv.totals.sessions.add(f)
	srv.totals.ended.Count(outcome.Of(s.flow.Err()), outcome.Endings)
	srv.removeLocked(srv.sessions[s])
}
