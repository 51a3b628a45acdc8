//go:build !js

package sessionstore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A server that is replaced while a client talks to it. The function of the new one runs
// for the session that the old one has begun.
func ExampleDir() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "sessions")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	server, client := identity("server"), identity("client")
	keyset, err := keys.GenerateSharedKeyset() // from a keystore.Store: every process needs the same
	if err != nil {
		log.Fatal(err)
	}

	newServer := func() *e2e.Server {
		store, err := sessionstore.Dir(directory)
		if err != nil {
			log.Fatal(err)
		}
		srv, err := e2e.NewServer(e2e.ServerConfig{
			Identity: server,
			Verifier: trust.Pinned(client.Fingerprint()),
			Protocol: "greeter/1",
			Options: e2e.Options{
				Store:     store,
				StoreKeys: keyset,
			},
		}, greet)
		if err != nil {
			log.Fatal(err)
		}
		return srv
	}

	var current atomic.Pointer[e2e.Server]
	current.Store(newServer())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current.Load().ServeHTTP(w, r)
	}))
	defer web.Close()

	session, err := e2e.Dial(ctx, "ws"+strings.TrimPrefix(web.URL, "http"), e2e.Config{
		Identity: client,
		Verifier: trust.Pinned(server.Fingerprint()),
		Protocol: "greeter/1",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	say(ctx, session, "Ada")
	old := current.Swap(newServer())
	if err := old.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	say(ctx, session, "Grace")
	// Output:
	// hello Ada
	// hello again Grace
}

// greet answers names. A message that a process was busy with when it ended comes again in
// the next one.
func greet(ctx context.Context, s *e2e.Session) error {
	word := "hello "
	if s.Restored() {
		word = "hello again "
	}
	for {
		name, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		if err := s.Send(ctx, append([]byte(word), name...)); err != nil {
			return err
		}
	}
}

func say(ctx context.Context, s *e2e.Session, name string) {
	if err := s.Send(ctx, []byte(name)); err != nil {
		log.Fatal(err)
	}
	for {
		answer, err := s.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if strings.HasSuffix(string(answer), name) { // and not again the one before
			fmt.Println(string(answer))
			return
		}
	}
}

func identity(name string) *keys.Identity {
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		log.Fatal(err)
	}
	return id
}
