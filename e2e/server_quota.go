package e2e

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/keys"
)

// errFull is matched by why a server takes no further session. The client is told to try again
// later.
var errFull = errors.New("the limit of sessions is reached")

// A quota bounds a server's sessions, in all and of one identity. Handshakes that are about to
// become sessions count too. It is guarded by the server's mu.
type quota struct {
	most, mostPerIdentity int

	taken int
	of    map[keys.Fingerprint]int
}

// A reservation counts in a quota.
type reservation struct {
	who     keys.Fingerprint
	session *Session // that it is for; nil until there is one
}

func (q *quota) full() bool { return q.taken >= q.most }

// reserve counts a session of an identity, if there may be another one.
func (q *quota) reserve(who keys.Fingerprint) (*reservation, error) {
	switch {
	case q.full():
		return nil, errFull
	case q.of[who] >= q.mostPerIdentity:
		return nil, fmt.Errorf("%w, for this identity", errFull)
	}
	if q.of == nil {
		q.of = map[keys.Fingerprint]int{}
	}
	q.taken++
	q.of[who]++
	return &reservation{who: who}, nil
}

// free gives a reservation back.
func (q *quota) free(r *reservation) {
	q.taken--
	if q.of[r.who]--; q.of[r.who] == 0 {
		delete(q.of, r.who)
	}
}

// reserve reserves a session for a client that is known and welcome.
func (srv *Server) reserve(peer *keys.PublicIdentity) (*reservation, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return nil, ErrServerClosed
	}
	return srv.quota.reserve(peer.Fingerprint())
}

// reservedFor says which session a reservation is for.
func (p *reservation) reservedFor(s *Session) { p.session, s.entry.reservation = s, p }

// cancel gives a reservation back from which no session came that could be used. There may be a
// session all the same, of which its client has not been told.
func (srv *Server) cancel(p *reservation) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if p.session == nil {
		srv.quota.free(p)
	} else {
		srv.removeLocked(p.session)
	}
}
