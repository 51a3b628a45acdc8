//go:build !js

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/chromium"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// A soak is two ends that talk at the same time, over a hop that breaks one link after
// the other.
type soak struct {
	messages, cuts int // at least, messages each way
	span           int // messages that a link may live for
	seed           uint64
}

func soakSize(short soak) soak {
	if longTests() {
		return soak{messages: 1_000_000, cuts: 1_000, span: 4000, seed: short.seed}
	}
	return short
}

// script ends a link in one of the ways of a broken network, or of a hop that
// changes messages, somewhere within the handshake, what is sent again, or what
// follows.
func (k soak) script(rng *rand.Rand) hostile.Script {
	nth := 1 + rng.IntN(5)
	if rng.IntN(2) == 0 {
		nth = 1 + rng.IntN(k.span)
	}
	ways := []hostile.Fault{hostile.Cut, hostile.CutWithin, hostile.Reset, hostile.ResetWithin, cutAfter,
		hostile.Drop, hostile.Repeat, hostile.Reorder(2+rng.IntN(3), rng), hostile.Replay(), hostile.Stall,
		hostile.Truncate, hostile.Extend, hostile.Flip, hostile.Corrupt(rng)}
	if rng.IntN(8) == 0 { // r3, which arrives when a later attempt is under way or done
		return hostile.Frames(hostile.Nth(2, hostile.Late(time.Duration(rng.IntN(400))*time.Millisecond)), nil)
	}
	way, fromClient := rng.IntN(len(ways)), rng.IntN(2) == 0
	if changes := way >= len(ways)-2; changes && fromClient && nth == 1 {
		// A first message that was changed is refused like one for a session that is
		// not known, and two in a row end the session, as documented.
		nth = 2
	}
	fault := hostile.FromNth(nth, ways[way])
	if fromClient {
		return hostile.Frames(fault, nil)
	}
	return hostile.Frames(nil, fault)
}

// run serves one session through the hop to whomever client is, given the hop's URL,
// and checks that all is in order at the server.
func (k soak) run(t *testing.T, cfg e2e.ServerConfig, client func(url string)) {
	var server tally
	var hop *hostile.Proxy
	runs := 0
	all := make(chan struct{}) // has arrived: from here on the hop does nothing
	srv := newServer(t, withQuickCuts(cfg), func(ctx context.Context, s *e2e.Session) error {
		runs++
		server.both(t, s, 2, func(n uint64) bool {
			links, _ := hop.Links()
			return n > uint64(k.messages) && links > k.cuts
		})
		close(all)
		s.Receive(ctx) // the client closes
		return nil
	})
	plan := hostile.Seeded(k.seed, k.script)
	hop = hostile.Listen(t, listen(t, srv), func(n int) hostile.Script {
		select {
		case <-all:
			return hostile.Script{}
		default:
		}
		if n == 0 { // the first one holds: Dial does not try again
			return hostile.Frames(hostile.FromNth(300, hostile.Cut), nil)
		}
		return plan(n)
	})
	client(hop.URL())
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	links, _ := hop.Links()
	t.Logf("%d links; %d messages to the server, %d to the client", links, server.received.Load(), server.sent.Load())
	if runs != 1 || links <= k.cuts || server.received.Load() <= uint64(k.messages) || server.sent.Load() <= uint64(k.messages) {
		t.Errorf("%d links, %d messages to the server, %d to the client, in %d runs", links, server.received.Load(), server.sent.Load(), runs)
	}
}

// Over many links that break in every way, each message arrives once and in order.
func TestA15NothingIsLostOverManyCuts(t *testing.T) {
	k := soakSize(soak{messages: 5_000, cuts: 50, span: 400, seed: 11})
	k.run(t, hosting(bob, alice), func(url string) {
		c := mustDialAs(t, url, withQuickCuts(trusting(alice, bob)))
		var y tally
		y.both(t, c, 1, y.asLongAs(uint64(k.messages)))
		c.Close()
	})
}

// The same with a client that is compiled to wasm, see TestCutsUnderNode.
func TestA15NothingIsLostInWasm(t *testing.T) {
	slowtest.Skip(t)
	k := soakSize(soak{messages: 500, cuts: 8, span: 400, seed: 13})
	cfg := hosting(bob)
	cfg.Verifier = &asked{} // anybody: the client makes its own identity
	k.run(t, cfg, func(url string) {
		out, err := underNode(t, "TestCutsUnderNode", "HOPSEAL_CUTS_URL="+url,
			"HOPSEAL_CUTS_SERVER="+bob.Fingerprint().String(), fmt.Sprint("HOPSEAL_CUTS_MESSAGES=", k.messages))
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestCutsUnderNode")) {
			t.Errorf("under Node: %v\n%s", err, out)
		}
	})
}

// underNode compiles the tests of this package to wasm, runs one of them under Node, and
// returns what it prints.
func underNode(t *testing.T, test string, env ...string) ([]byte, error) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		const missing = "no Node found: install version 20.19 or later"
		if os.Getenv("HOPSEAL_BROWSER_TESTS") == "require" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	chromium.NoteSources(t, ".")
	file := filepath.Join(t.TempDir(), "e2e.wasm")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", file, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compiling the tests to wasm: %v\n%s", err, out)
	}
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	glue := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js")
	// Node 20 has its WebSocket behind a flag that later ones know too.
	cmd := exec.CommandContext(t.Context(), node, "--stack-size=8192", "--experimental-websocket", glue, file, "-test.v", "-test.run=^"+test+"$", "-test.timeout=2h")
	cmd.Env = append(os.Environ(), env...)
	return cmd.CombinedOutput()
}
