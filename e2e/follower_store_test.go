//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

var passphrase = keystore.Passphrase([]byte("upriver lagoon cassette mulberry trombone"))

func newStoreFor(t testing.TB, id *keys.Identity) (*keystore.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	store, err := keystore.Create(t.Context(), path, passphrase, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, path
}

// A50: a client is stolen. Its owner revokes it in the store that one process writes, and a
// server that follows the store in another ends the thief's sessions, within two seconds and a
// look at the file, whether they have a connection, wait for one or are stored; it refuses the
// thief's next, and does nothing to others.
func TestA62StolenClientIsCutOff(t *testing.T) {
	for _, how := range []string{"revoked", "forgotten"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) { cutOff(t, how) })
		})
	}
}

func cutOff(t *testing.T, how string) {
	honest, stolen := newIdentity("honest"), newIdentity("stolen")
	store, path := newStoreFor(t, newIdentity("server"))
	if err := errors.Join(store.KnownPeers().Admit(asClient, honest.Public()), store.KnownPeers().Admit(asClient, stolen.Public())); err != nil {
		t.Fatal(err)
	}
	replica, err := keystore.OpenReplica(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { running <- replica.Run(ctx, 0, func(err error) { t.Error(err) }) }()
	defer func() { cancel(); <-running }()

	sessions := make(chan *e2e.Session, 9)
	handle := func(ctx context.Context, s *e2e.Session) error {
		sessions <- s
		return echo(ctx, s)
	}
	records := sessionstore.Memory()
	cfg := stored(e2e.ServerConfig{Identity: replica.Identity(), Verifier: replica.KnownPeers(), Protocol: "test/1", Options: e2e.Options{Logger: silent}}, records)
	serverKey := trusting(stolen, store.Identity()).Verifier
	config := func(id *keys.Identity) e2e.Config {
		return e2e.Config{Identity: id, Verifier: serverKey, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
	}
	srv := newServer(t, cfg, handle)
	type party struct {
		road   *road
		client *e2e.Session
		server *e2e.Session
	}
	begin := func(id *keys.Identity, srv *e2e.Server) *party {
		p := &party{road: &road{srv: srv}}
		p.client = p.road.client(t, config(id))
		p.server = <-sessions
		mustSend(t, p.client, "x")
		mustReceive(t, p.client, "x")
		return p
	}
	away := func(p *party) *party {
		p.road.set(func(r *road) { r.closed = true })
		p.road.cut()
		synctest.Wait()
		return p
	}
	former := newServer(t, cfg, handle) // whose sessions are in the store when it ends
	live, waits, kept := begin(stolen, srv), away(begin(stolen, srv)), away(begin(stolen, former))
	others := []*party{begin(honest, srv), away(begin(honest, srv)), away(begin(honest, former))}
	stop(t, former)
	for _, p := range []*party{kept, others[2]} {
		p.road.set(func(r *road) { r.srv = srv })
	}

	time.Sleep(time.Minute)
	began := time.Now()
	if how == "revoked" {
		err = store.KnownPeers().Revoke(revocationOf(t, stolen))
	} else {
		err = store.KnownPeers().Forget(asClient, stolen.Fingerprint())
	}
	if err != nil {
		t.Fatal(err)
	}
	reason := map[string]trust.Reason{"revoked": trust.Revoked, "forgotten": trust.Unknown}[how]
	wantReason(t, live.server, began, reason)
	wantReason(t, waits.server, began, reason)
	for name, p := range map[string]*party{"live": live, "waiting": waits, "stored": kept} {
		p.road.set(func(r *road) { r.closed = false })
		if _, err := p.client.Receive(t.Context()); err == nil {
			t.Errorf("the thief's session that was %s goes on", name)
		}
		if _, err := e2e.DialFunc(t.Context(), "road", config(stolen), p.road.dial); err == nil {
			t.Error("the thief has another session")
		}
	}
	for _, p := range others {
		p.road.set(func(r *road) { r.closed = false })
		mustSend(t, p.client, "still here")
		mustReceive(t, p.client, "still here")
		p.client.Close()
	}
}

// What an owner's own session says of its identity ends the thief's too: the Verifier learns of
// the revocation, and tells.
func TestA50RevocationInOneSessionEndsTheOthers(t *testing.T) {
	for _, how := range []string{"in band", "on the way back"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store, _ := newStoreFor(t, newIdentity("carol"))
				carol := store.Identity()
				stolen := copied(t, carol)
				known := knowing(t, asClient, carol)
				sessions := make(chan *e2e.Session, 2)
				r := &road{srv: newServer(t, e2e.ServerConfig{Identity: bob, Verifier: known, Protocol: "test/1", Options: e2e.Options{Logger: silent}},
					func(ctx context.Context, s *e2e.Session) error {
						sessions <- s
						return echo(ctx, s)
					})}
				mine := r.client(t, trusting(carol, bob))
				<-sessions
				theft := &road{srv: r.srv}
				theft.client(t, trusting(stolen, bob))
				thief := <-sessions
				if how != "in band" {
					r.set(func(r *road) { r.closed = true })
					r.cut()
					synctest.Wait()
				}
				if err := store.Revoke(); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				r.set(func(r *road) { r.closed = false })
				if how == "in band" {
					mine.Renew(t.Context())
				} else {
					<-mine.Done()
					began = time.Now()
				}
				wantReason(t, thief, began, trust.Revoked)
				if !known.Revoked(carol.Fingerprint()) {
					t.Error("the list has not learned of it")
				}
			})
		})
	}
}
