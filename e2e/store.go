package e2e

import (
	"time"

	"github.com/hopseal/hopseal/e2e/internal/vault"
)

// clientCalls is how many calls of its store a client, which has one session, may have under way.
const clientCalls = 16

// vault returns the store of this end, which may have so many calls under way.
func (c config) vault(calls int) vault.Vault {
	return vault.Vault{Store: vault.Bounded(c.Store, calls), Keys: c.StoreKeys}
}

// keepIn makes v keep a session in its store. claimed is the stored session that this process has claimed,
// or the zero value for a session that is not stored yet.
func keepIn(s *Session, v vault.Vault, name string, claimed vault.Stored) {
	s.keeper = v.Keep(vault.Session{
		Engine: s.engine, Name: name, Life: s.flow.Life(), Ended: s.flow.Done(),
		Timeout: s.local.sendTimeout, Park: s.flow.Limits.Park(), Failed: func(err error) { s.flow.StoreFailed(err) },
		Expires: func(now time.Time) time.Time { return s.flow.Limits.RecordExpires(now, s.engine.Client()) },
	}, claimed)
	s.flow.Store(s.keeper)
}
