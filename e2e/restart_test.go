//go:build unix

package e2e_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport/redial"
)

// A node is a server in a process of its own, that can be killed.
type node struct {
	address string
	dir     string // of its store, "" for none
	cmd     *exec.Cmd
}

// What a node is told.
const (
	nodeAddress  = "HOPSEAL_TEST_NODE"
	nodeDir      = "HOPSEAL_TEST_NODE_DIR"
	nodeIdentity = "HOPSEAL_TEST_NODE_IDENTITY"
	nodeKeyset   = "HOPSEAL_TEST_NODE_KEYSET"
	nodeClient   = "HOPSEAL_TEST_NODE_CLIENT"
)

func (n *node) start(t testing.TB) {
	t.Helper()
	identity, err := bob.MarshalCleartext(insecurecleartext.Token{})
	keyset, setErr := storeKeys.MarshalCleartext(insecurecleartext.Token{})
	if err = errors.Join(err, setErr); err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.Command(os.Args[0], "-test.run=^TestNode$")
	n.cmd.Env = append(os.Environ(), nodeAddress+"="+n.address, nodeDir+"="+n.dir, nodeClient+"="+alice.Fingerprint().String(),
		nodeIdentity+"="+hex.EncodeToString(identity), nodeKeyset+"="+hex.EncodeToString(keyset))
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the node says %q, %v", line, err)
	}
}

func (n *node) kill() {
	n.cmd.Process.Kill()
	n.cmd.Wait()
}

// TestNode is a node, in its own process.
func TestNode(t *testing.T) {
	address := os.Getenv(nodeAddress)
	if address == "" {
		t.Skip("this is the body of a process that other tests start")
	}
	unhex := func(name string) []byte {
		b, err := hex.DecodeString(os.Getenv(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	identity, err := keys.ParseCleartextIdentity(unhex(nodeIdentity), insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := keys.ParseFingerprint(os.Getenv(nodeClient))
	if err != nil {
		t.Fatal(err)
	}
	cfg := crowded(e2e.ServerConfig{Identity: identity, Verifier: trust.Pinned(client), Protocol: "test/1", Options: e2e.Options{Logger: silent}})
	if dir := os.Getenv(nodeDir); dir != "" {
		set, err := keys.ParseCleartextSharedKeyset(unhex(nodeKeyset), insecurecleartext.Token{})
		if err != nil {
			t.Fatal(err)
		}
		store, err := sessionstore.Dir(dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Store, cfg.StoreKeys = store, set
	}
	srv, err := e2e.NewServer(cfg, echo)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	http.Serve(listener, srv) // until it is killed
}

// crowded makes room for many sessions of one client at one address.
func crowded(cfg e2e.ServerConfig) e2e.ServerConfig {
	cfg.MaxParked, cfg.MaxSessionsPerIdentity = 10_000, 10_000
	cfg.MaxHandshakes, cfg.MaxHandshakesPerAddress = 10_000, 10_000
	return cfg
}

// returning is crowded for a client.
func returning(cfg e2e.Config) e2e.Config {
	cfg.Retry = redial.Policy{Base: 20 * time.Millisecond, Cap: 500 * time.Millisecond}
	return cfg
}

// quickDir is a directory whose disk is memory, where there is one: these tests kill
// processes, not machines.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hopseal-test-")
	if err != nil {
		return filepath.Join(t.TempDir(), "sessions")
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "sessions")
}

// many returns how many sessions a test holds.
func many() int {
	switch {
	case os.Getenv("HOPSEAL_LONG_TESTS") != "":
		return 1000
	case testing.Short():
		return 20
	}
	return 100
}

// A conversation sends numbers to an echo, and checks what comes back: every number, in
// order. Again comes only what a process had answered and not known to have answered.
type conversation struct {
	session  *e2e.Session
	answered atomic.Int64
	again    int
}

func (c *conversation) talk(t *testing.T, numbers int) {
	before := int(c.answered.Load())
	numbers += before
	go func() {
		for n := before + 1; n <= numbers; n++ {
			if err := c.session.Send(context.Background(), fmt.Append(nil, n)); err != nil {
				t.Errorf("message %d: %v", n, err)
				return
			}
		}
	}()
	for last := int64(before); last < int64(numbers); {
		message, err := c.session.Receive(context.Background())
		if err != nil {
			t.Errorf("behind answer %d: %v", last, err)
			return
		}
		var n int64
		fmt.Sscan(string(message), &n)
		switch {
		case n == last+1:
			last = n
			c.answered.Store(n)
		case n < 1 || n > last:
			t.Errorf("answer %d came behind %d", n, last)
			return
		default:
			c.again++
		}
	}
}

// A16: a server that is killed with many sessions open and started again goes on with all
// of them. Nothing is lost, and nothing comes again but what was being answered.
func TestA16StoreSurvivesKills(t *testing.T) {
	const numbers, kills = 9, 2
	n := &node{address: freeport.Address(t), dir: quickDir(t)}
	n.start(t)
	defer func() { n.kill() }()
	all := make([]*conversation, many())
	var dialled sync.WaitGroup
	for i := range all {
		dialled.Go(func() {
			s, err := e2e.Dial(context.Background(), "ws://"+n.address, returning(trusting(alice, bob)))
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = &conversation{session: s}
		})
	}
	if dialled.Wait(); t.Failed() {
		return
	}
	var talking sync.WaitGroup
	for _, c := range all {
		talking.Go(func() { c.talk(t, numbers) })
	}
	done := make(chan struct{})
	go func() { talking.Wait(); close(done) }()
	answered := func() (sum int64) {
		for _, c := range all {
			sum += c.answered.Load()
		}
		return sum
	}
	for k := range int64(kills) {
		for answered() < (k+1)*int64(len(all)*numbers)/(kills+1) && !t.Failed() {
			select {
			case <-done:
			case <-time.After(5 * time.Millisecond):
			}
		}
		n.kill()
		before := answered()
		began := time.Now()
		n.start(t)
		for missing := 1; missing > 0 && !t.Failed(); {
			missing = 0
			for _, c := range all {
				if c.session.Stats().Resumes <= uint64(k) {
					missing++
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Logf("killed behind %d of %d answers; all %d sessions had gone on after %v", before, len(all)*numbers, len(all), time.Since(began))
	}
	<-done
	again := 0
	var closing sync.WaitGroup
	for _, c := range all {
		again += c.again
		closing.Go(func() { c.session.Close() })
	}
	closing.Wait()
	t.Logf("%d answers came again", again)
	if most := kills * len(all) * numbers / 2; again > most {
		t.Errorf("%d answers came again, of %d", again, len(all)*numbers)
	}
}

// Without a store every client of a server that was killed is told exactly which messages
// are not known to have arrived.
func TestKillWithoutAStoreGivesTheGap(t *testing.T) {
	n := &node{address: freeport.Address(t)}
	n.start(t)
	defer func() { n.kill() }()
	each := func(do func(i int)) {
		var all sync.WaitGroup
		for i := range many() {
			all.Go(func() { do(i) })
		}
		all.Wait()
	}
	clients := make([]*e2e.Session, many())
	each(func(i int) {
		s, err := e2e.Dial(context.Background(), "ws://"+n.address, returning(trusting(alice, bob)))
		for n := 0; n < 3 && err == nil; n++ {
			err = s.Send(context.Background(), []byte("arrives"))
		}
		if err == nil {
			err = s.Flush(context.Background())
		}
		if err != nil {
			t.Error(err)
		}
		clients[i] = s
	})
	if t.Failed() {
		return
	}
	n.cmd.Process.Signal(syscall.SIGSTOP)
	each(func(i int) {
		for n := range 1 + i%3 {
			if err := clients[i].Send(context.Background(), fmt.Append(nil, "lost ", n)); err != nil {
				t.Error(err)
			}
		}
	})
	n.kill()
	began := time.Now()
	n.start(t)
	each(func(i int) {
		var err error
		for err == nil {
			_, err = clients[i].Receive(context.Background())
		}
		gap := new(e2e.GapError)
		if !errors.As(err, &gap) || gap.First != 4 || gap.Count != 1+i%3 || string(gap.Messages()[0].Data) != "lost 0" {
			t.Errorf("client %d: %v, gap %v", i, err, gap)
		}
	})
	t.Logf("all %d clients were told after %v", len(clients), time.Since(began))
}

// A client that is killed goes on by the name of its session.
func TestStoreOfAClientThatIsKilled(t *testing.T) {
	if address := os.Getenv(nodeAddress); address != "" {
		t.Skip("in a node")
	}
	n := &node{address: freeport.Address(t), dir: quickDir(t)}
	n.start(t)
	defer func() { n.kill() }()
	store, err := sessionstore.Dir(quickDir(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := stored(returning(trusting(alice, bob)), store)
	cfg.StoreName = "orders"
	heard := 0
	for i := range 4 {
		// The session before is left as a kill leaves it: nobody closes it.
		s, err := e2e.Dial(t.Context(), "ws://"+n.address, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if s.Restored() != (i > 0) {
			t.Errorf("process %d: restored %v", i, s.Restored())
		}
		mustSend(t, s, fmt.Sprint(i+1))
		for heard < i+1 {
			message, err := s.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			if fmt.Sscan(string(message), &got); got > heard+1 || got < 1 {
				t.Fatalf("answer %d behind %d", got, heard)
			}
			heard = max(heard, got)
		}
		if i == 2 { // and its server is killed too
			n.kill()
			n.start(t)
		}
		t.Cleanup(func() { s.Close() })
	}
}

// Two nodes behind HAProxy, round robin and without affinity: whenever a connection is
// lost the client comes back to whichever node it is, and its session is there.
func TestNodesBehindHAProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/haproxy")
	}
	if err != nil {
		if os.Getenv("HOPSEAL_FRONT_TESTS") == "require" {
			t.Fatal(err)
		}
		t.Skip("haproxy is not installed: apt-get install haproxy")
	}
	dir := quickDir(t)
	front := freeport.Address(t)
	var nodes []string
	var mu sync.Mutex
	runs := map[int]int{} // of each node
	for i := range 2 {
		store, err := sessionstore.Dir(dir) // each its own, as in two processes
		if err != nil {
			t.Fatal(err)
		}
		srv := newServer(t, stored(crowded(hosting(bob, alice)), store), func(ctx context.Context, s *e2e.Session) error {
			mu.Lock()
			runs[i]++
			mu.Unlock()
			return echo(ctx, s)
		})
		nodes = append(nodes, strings.TrimPrefix(listen(t, srv), "ws://"))
	}
	file := filepath.Join(t.TempDir(), "haproxy.conf")
	conf := fmt.Sprintf(`global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 75s
frontend web
    bind %s
    default_backend service
backend service
    balance roundrobin
    server one %s
    server two %s
`, front, nodes[0], nodes[1])
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	cutter := newCutter(t, front)
	const numbers, clients, cuts = 5, 4, 6
	var all []*conversation
	for range clients {
		var s *e2e.Session
		for s == nil { // the front may not listen yet
			if s, err = e2e.Dial(t.Context(), "ws://"+cutter.address(), returning(trusting(alice, bob))); err != nil && t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { s.Close() })
		all = append(all, &conversation{session: s})
	}
	for range cuts {
		var talking sync.WaitGroup
		for _, c := range all {
			talking.Go(func() { c.talk(t, numbers) })
		}
		cutter.cut()
		talking.Wait()
	}
	for i, c := range all {
		t.Logf("client %d: %d resumes, %d answers came again", i, c.session.Stats().Resumes, c.again)
		if c.session.Stats().Resumes < cuts/2 {
			t.Errorf("client %d has resumed %d times", i, c.session.Stats().Resumes)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if t.Logf("runs at each node: %v", runs); runs[0] < 2 || runs[1] < 2 {
		t.Error("the sessions stayed where they were")
	}
}

// A cutter passes connections on, and can cut them all.
type cutter struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
}

func newCutter(t testing.TB, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			dest, err := net.Dial("tcp", to)
			if err != nil {
				from.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, from, dest)
			c.mu.Unlock()
			running.Go(func() { io.Copy(dest, from); dest.Close() })
			running.Go(func() { io.Copy(from, dest); from.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); c.cut(); running.Wait() })
	return c
}

func (c *cutter) address() string { return c.listener.Addr().String() }

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}
