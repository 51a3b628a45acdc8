package e2e

import (
	"github.com/hopseal/hopseal/keys"
)

// A reservation counts in the quota.
type reservation struct {
	who     keys.Fingerprint
	session *Session // that it is for; nil until there is one
}

// reserve reserves a session for a client that is known and welcome.
func (srv *Server) reserve(peer *keys.PublicIdentity) (*reservation, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return nil, ErrServerClosed
	}
	who := peer.Fingerprint()
	if err := srv.quota.Reserve(who); err != nil {
		return nil, err
	}
	return &reservation{who: who}, nil
}

// reservedFor says which session a reservation is for.
func (p *reservation) reservedFor(s *Session) { p.session, s.entry.reservation = s, p }

// cancel gives a reservation back from which no session came that could be used. There may be a
// session all the same, of which its client has not been told.
func (srv *Server) cancel(p *reservation) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if p.session == nil {
		srv.quota.Free(p.who)
	} else {
		srv.removeLocked(p.session)
	}
}
