package e2e

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/keys"
)

// errFull is matched by why there is no place for a session. The client is told to try again
// later.
var errFull = errors.New("the limit of sessions is reached")

// places are those of a server's sessions, and of handshakes about to become one. They are
// guarded by the server's mu.
type places struct {
	most, mostPerIdentity int

	taken int
	of    map[keys.Fingerprint]int
}

// A reservation is a place that is taken.
type reservation struct {
	who     keys.Fingerprint
	session *Session // that it is for; nil until there is one
}

func (p *places) full() bool { return p.taken >= p.most }

// take takes a place for an identity.
func (p *places) take(who keys.Fingerprint) (*reservation, error) {
	switch {
	case p.full():
		return nil, errFull
	case p.of[who] >= p.mostPerIdentity:
		return nil, fmt.Errorf("%w, for this identity", errFull)
	}
	if p.of == nil {
		p.of = map[keys.Fingerprint]int{}
	}
	p.taken++
	p.of[who]++
	return &reservation{who: who}, nil
}

// free gives a place back.
func (p *places) free(r *reservation) {
	p.taken--
	if p.of[r.who]--; p.of[r.who] == 0 {
		delete(p.of, r.who)
	}
}

// reserve takes a place for a client that is known and welcome.
func (srv *Server) reserve(peer *keys.PublicIdentity) (*reservation, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return nil, ErrServerClosed
	}
	return srv.places.take(peer.Fingerprint())
}

// reservedFor gives a place to a session.
func (p *reservation) reservedFor(s *Session) { p.session, s.place.reservation = s, p }

// cancel gives a place back of which no session came about that could be used. There may be one
// all the same, that its client has not been told of.
func (srv *Server) cancel(p *reservation) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if p.session == nil {
		srv.places.free(p)
	} else {
		srv.removeLocked(p.session)
	}
}
