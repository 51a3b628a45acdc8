package e2e

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// adopt makes a session one of the server's. claimed is what the server has claimed in the store,
// or the zero value for a session that is not stored yet.
func (srv *Server) adopt(s *Session, claimed vault.Stored) {
	if srv.given.MaxParked < 0 {
		return
	}
	s.flow.Survive()
	s.lost = func(*CloseError) { srv.lineChanged(s) }
	s.found = func() { srv.lineChanged(s) }
	s.renewed = func() { srv.index(s) }
	if srv.cfg.Store != nil {
		keepIn(s, srv.vault, "", claimed)
	}
}

// committed runs between the commit of a resume and the frame that tells the client of it.
// After that frame the client may ask for the session by an id that nobody knew before, so
// committed indexes and stores the session first.
func (srv *Server) committed(s *Session) error {
	srv.index(s)
	if s.keeper == nil {
		return nil
	}
	if err := s.keeper.Sync(); err != nil {
		return s.flow.StoreFailed(err)
	}
	return nil
}

// endFenced ends the Session that this server had under a key before another process claimed the
// stored one.
func (srv *Server) endFenced(key [32]byte) {
	srv.mu.Lock()
	s := srv.stored[key]
	srv.mu.Unlock()
	if s != nil {
		s.flow.StoreFailed(sessionstore.ErrFenced)
	}
}

// sweep removes expired sessions from the store, once in a ParkTimeout. If the wall clock was
// set since, sweep waits for another ParkTimeout: by then every live session is stored with a
// time of the new clock. Otherwise a clock that jumps ahead would remove them all.
func (srv *Server) sweep() {
	if srv.cfg.Store == nil {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if now := time.Now(); !srv.closed && now.Sub(srv.swept) > srv.cfg.ParkTimeout {
		set := !srv.swept.IsZero() && wasSet(srv.swept, now)
		if srv.swept = now; set {
			return
		}
		srv.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), sweepTimeout)
			defer cancel()
			srv.vault.Store.Sweep(ctx) // if it fails, there is a next time
		})
	}
}

const sweepTimeout = time.Minute

// wasSet reports whether the wall clock was set between two times, by more than the small steps
// that are usual.
func wasSet(from, to time.Time) bool {
	shown := to.Round(0).Sub(from.Round(0))
	return (shown - to.Sub(from)).Abs() > time.Minute
}
