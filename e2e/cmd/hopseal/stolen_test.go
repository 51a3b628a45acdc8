//go:build unix

package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
)

// TestStolenClient has an operator type what the guide says, while the thief has a session: it
// ends, though nobody stops the service.
func TestStolenClient(t *testing.T) {
	for _, how := range []string{"revoked", "forgotten"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.store("alice")
			laptop := w.store("laptop")
			w.write("revocation", w.key("revoke", "-prepare", "-store", "laptop.store"))
			ready := make(chan *service, 1)
			w.serve("alice.store", func(s *keys.Store, ctx context.Context) error {
				if s == nil {
					return errServes
				}
				ready <- serveSessions(t, func(cfg *e2e.Config) { cfg.Identity, cfg.Verifier = s.Identity(), s.KnownPeers() })
				return s.Serve(ctx)
			})
			srv := <-ready
			w.key("import", "laptop.pub", "-client", "-fingerprint", laptop)
			thief, err := keys.OpenStore(t.Context(), "laptop.store", keys.KMS(fakeKMS{}, testKMSKey))
			if err != nil {
				t.Fatal(err)
			}
			defer thief.Close()
			cfg := e2e.Config{Identity: thief.Identity(), Verifier: keys.InsecureTrustAnyone(), Protocol: "billing/2", Logger: slog.New(slog.DiscardHandler)}
			session, err := e2e.Dial(t.Context(), srv.url, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if how == "revoked" {
				w.key("import", "revocation")
			} else {
				w.key("forget", laptop, "-client")
			}
			select {
			case <-srv.ends:
			case <-time.After(20 * time.Second): // two would do, on a machine that is not busy
				t.Error("the thief's session goes on")
			}
			if _, err := e2e.Dial(t.Context(), srv.url, cfg); err == nil {
				t.Error("the thief has another session")
			}
		})
	}
}
