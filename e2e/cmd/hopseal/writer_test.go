//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/keys/keystore"
)

// serve has a service hold a store open, and take requests if it runs. It ends with the test, or
// when stop is called.
func (w *world) serve(store string, run func(*keystore.Store, context.Context) error) (stop func()) {
	w.t.Helper()
	s, err := keystore.Open(w.t.Context(), store, keystore.KMS(fakeKMS{}, testKMSKey))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(s, ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
		s.Close()
	})
	w.t.Cleanup(stop)
	for run(nil, nil) != nil {
		if _, err := os.Stat(store + ".sock"); err == nil {
			break
		}
	}
	return stop
}

var errServes = errors.New("it takes requests")

func rotating(s *keystore.Store, ctx context.Context) error {
	if s == nil {
		return errServes
	}
	return s.Run(ctx, keystore.DefaultRotation)
}

func onlyServing(s *keystore.Store, ctx context.Context) error {
	if s == nil {
		return errServes
	}
	return s.Serve(ctx)
}

func unserved(s *keystore.Store, ctx context.Context) error {
	if s != nil {
		<-ctx.Done()
	}
	return nil
}

// changing commands, in an order in which each has something to do. KEY stands for a key at that
// stage.
func changingCommands(bob, eve string) [][]string {
	return [][]string{
		{"new", "-shared", "invoices"},
		{"rotate", "-add", "-use", "signing"},
		{"promote", "pending"},
		{"disable", "retiring"},
		{"destroy", "archived"},
		{"rotate", "-now", "-use", "sealing"},
		{"rotate"},
		{"renew"},
		{"import", "bob.pub", "-client", "-fingerprint", bob},
		{"import", "eve.pub", "-address", "wss://eve.example", "-fingerprint", eve},
		{"forget", eve, "-address", "wss://eve.example"},
		{"import", "succession"},
		{"import", "revocation"},
		{"import", "-shared", "orders", "-from", "bob.pub", "-fingerprint", bob, "sealed"},
		{"revoke", "-fingerprint", "alice"},
	}
}

// readingCommands need no writer.
var readingCommands = []string{"show", "export", "fingerprint", "safety-number", "succeed"}

// TestEveryCommandWithAService runs each command that changes a store while a service has it
// open, and says so; where the service takes no requests
// the error names what to do.
func TestEveryCommandWithAService(t *testing.T) {
	for name, run := range map[string]func(*keystore.Store, context.Context) error{"Run": rotating, "Serve": onlyServing, "takes none": unserved} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob, eve := w.store("alice"), w.store("bob"), w.store("eve")
			w.store("carol")
			w.key("new", "-store", "bob.store", "-shared", "orders")
			w.write("sealed", w.key("export", "-store", "bob.store", "-shared", "orders", "-to", "alice.pub", "-fingerprint", alice))
			w.write("succession", w.key("succeed", "-store", "bob.store", "carol.store"))
			w.write("revocation", w.key("revoke", "-prepare", "-store", "carol.store"))
			w.serve("alice.store", run)
			seen := map[string]bool{}
			for _, args := range changingCommands(bob, eve) {
				seen[args[0]] = true
				for i, a := range args {
					switch a {
					case "alice":
						args[i] = alice
					case "pending", "retiring", "archived":
						if name == "takes none" {
							args[i] = w.pick("primary", "signing")
							break
						}
						args[i] = w.pick(a, "signing")
					}
				}
				if name == "takes none" {
					w.fails(exitFailure, "stop it, or have it call Run or Serve of its keystore.Store", args...)
					continue
				}
				var r struct {
					ByService bool `json:"by_service"`
					Changed   bool
				}
				if err := json.Unmarshal([]byte(w.key(append(args, "-json")...)), &r); err != nil || !r.ByService {
					t.Errorf("%v: by a service: %v, %v", args, r.ByService, err)
				}
				if args[0] == "import" && !r.Changed {
					t.Errorf("%v: not changed", args)
				}
			}
			for _, c := range keyCommands.group {
				if reads := strings.Contains(strings.Join(readingCommands, " "), c.name); reads == seen[c.name] {
					t.Errorf("%s: reads %v, changes %v", c.name, reads, seen[c.name])
				}
			}
		})
	}
}

// TestTheServiceDidIt in the text as well, and its refusals read like those of the command.
func TestTheServiceDidIt(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	const line = "done by the service that has the store open\n"
	w.fails(exitFailure, "a pending key is promoted", "destroy", w.pick("primary", "signing"))
	own := w.fails(exitFailure, "a pending key is promoted", "destroy", w.pick("primary", "signing"))
	stop := w.serve("alice.store", rotating)
	if served := w.fails(exitFailure, "a pending key is promoted", "destroy", w.pick("primary", "signing")); served != own {
		t.Errorf("%s, and %s", served, own)
	}
	for _, args := range [][]string{{"rotate"}, {"renew"}, {"new", "-shared", "orders"}} {
		if out := w.key(args...); !strings.HasSuffix(out, line) {
			t.Errorf("%v: %s", args, out)
		}
	}
	w.fails(exitFailure, "it takes the steps that are due by its own", "rotate", "-keep", "0")
	stop()
	if out := w.key("renew"); strings.Contains(out, line) {
		t.Error(out)
	}
	w.serve("alice.store", onlyServing)
	if out := w.key("rotate", "-lead", "0"); !strings.HasSuffix(out, line) {
		t.Error(out)
	}
}

// TestTheAnswerIsLost between the service and the command: it says that the change may have been
// made, by its exit code too.
func TestTheAnswerIsLost(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	w.serve("alice.store", onlyServing)
	before := w.read("alice.store")
	if err := os.Rename("alice.store.sock", "real.sock"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", "alice.store.sock")
	if err != nil {
		t.Fatal(err)
	}
	var relaying sync.WaitGroup
	defer relaying.Wait()
	defer l.Close()
	relaying.Go(func() { relay(l) })
	out, errs, code := w.run("key", "renew")
	if code != exitUnknown || out != "" || !strings.Contains(errs, "it may have been done, or not: look at the store before you try again") {
		t.Error(code, out, errs)
	}
	if w.read("alice.store") == before {
		t.Error("it was not done")
	}
}

// relay carries requests, and of what comes back the greeting only.
func relay(l net.Listener) {
	const greeting = 4 + 1 + 2*(2+32)
	for {
		here, err := l.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("unix", "real.sock")
		if err != nil {
			here.Close()
			return
		}
		go func() { io.Copy(there, here); there.Close() }()
		io.CopyN(here, there, greeting)
		io.Copy(io.Discard, there)
		here.Close()
	}
}

// TestInterruptedRequest was not sent yet.
func TestInterruptedRequest(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	w.serve("alice.store", onlyServing)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &servedStore{ctx: ctx}
	var err error
	if s.Client, err = keystore.OpenClient(t.Context(), "alice.store", keystore.KMS(fakeKMS{}, testKMSKey)); err != nil {
		t.Fatal(err)
	}
	before := w.files()
	if err := s.Renew(); !strings.Contains(fmt.Sprint(err), "nothing was changed") {
		t.Error(err)
	}
	if after := w.files(); len(changedFiles(before, after)) > 0 {
		t.Error("it was")
	}
}
