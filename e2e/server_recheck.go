package e2e

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/upkeep"
)

// rechecks is how many sessions a server asks about at once.
const rechecks = 16

// Recheck is [Session.Recheck] for every session of the server, including those that wait for
// their clients. It returns the Verifier's first error about a session that goes on. A session
// that ends is no error.
func (srv *Server) Recheck(ctx context.Context) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var first error
	turns := make(chan struct{}, rechecks)
	for _, s := range srv.open() {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			err := s.Recheck(ctx)
			mu.Lock()
			defer mu.Unlock()
			if first == nil && !s.flow.Over() {
				first = err
			}
		})
	}
	all.Wait()
	return first
}

func (srv *Server) open() []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Keys(srv.sessions))
}

// followed returns the open sessions as the follower sees them.
func (srv *Server) followed() (all []*upkeep.Followed) {
	for _, s := range srv.open() {
		all = append(all, &s.followed)
	}
	return all
}

// remind makes the server check its identity, unless it is shut down. It reports whether it did.
func (srv *Server) remind() bool {
	if srv.stopped() {
		return false
	}
	srv.reminder.Look(srv.cfg.Identity, srv.cfg.Logger, 0)
	return true
}

func (srv *Server) stopped() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.closed
}
