//go:build unix

package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// TestStolenClient has an operator type what the guide says, while the thief has a session: it
// ends, though nobody stops the service, and also where the server follows the store as a replica.
func TestStolenClient(t *testing.T) {
	for _, how := range []string{"revoked", "forgotten", "revoked, and a replica follows", "forgotten, and a replica follows"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.store("alice")
			laptop := w.store("laptop")
			w.write("revocation", w.key("revoke", "-prepare", "-store", "laptop.store"))
			ready := make(chan *service, 1)
			w.serve("alice.store", func(s *keystore.Store, ctx context.Context) error {
				if s == nil {
					return errServes
				}
				identity, known := s.Identity(), s.KnownPeers()
				if strings.HasSuffix(how, "follows") {
					r, err := keystore.OpenReplica(ctx, "alice.store", keystore.KMS(fakeKMS{}, testKMSKey))
					if err != nil {
						return err
					}
					following := make(chan error)
					go func() { following <- r.Run(ctx, 0, func(err error) { t.Error(err) }) }()
					defer func() { <-following }()
					identity, known = r.Identity(), r.KnownPeers()
				}
				ready <- serveSessions(t, func(cfg *e2e.ServerConfig) { cfg.Identity, cfg.Verifier = identity, known })
				return s.Serve(ctx)
			})
			srv := <-ready
			w.key("import", "laptop.pub", "-client", "-fingerprint", laptop)
			thief, err := keystore.Open(t.Context(), "laptop.store", keystore.KMS(fakeKMS{}, testKMSKey))
			if err != nil {
				t.Fatal(err)
			}
			defer thief.Close()
			cfg := e2e.Config{Identity: thief.Identity(), Verifier: trust.InsecureAnyone(), Protocol: "billing/2", Options: e2e.Options{Logger: slog.New(slog.DiscardHandler)}}
			var session *e2e.Session
			for range 50 { // a replica sees within a second whom the command has admitted
				if session, err = e2e.Dial(t.Context(), srv.url, cfg); err == nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if strings.HasPrefix(how, "revoked") {
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
