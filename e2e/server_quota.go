package e2e

import (
	"github.com/hopseal/hopseal/keys"
)

// reserve reserves a session for a client that is known and welcome.
func (srv *Server) reserve(peer *keys.PublicIdentity) (*entry, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return nil, ErrServerClosed
	}
	who := peer.Fingerprint()
	if err := srv.quota.Reserve(who); err != nil {
		return nil, err
	}
	return &entry{who: who}, nil
}

// cancel gives back a reservation that led to no usable session. The entry may have a session
// all the same, if its client was not told of it.
func (srv *Server) cancel(e *entry) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if e.session == nil {
		srv.quota.Free(e.who)
	} else {
		srv.removeLocked(e)
	}
}
