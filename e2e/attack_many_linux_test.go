package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// descriptors returns how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// Sessions that come and go, in every way, leave nothing behind: no goroutine, no
// descriptor, no memory.
func TestConnectCycles(t *testing.T) {
	before, running := descriptors(t), leak.Running()
	t.Run("cycles", connectCycles)
	leak.None(t, running)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func connectCycles(t *testing.T) {
	n := 160
	if longTests() {
		n = 10_000
	}
	srv := newServer(t, withQuickCuts(hosting(bob, alice)), func(ctx context.Context, s *e2e.Session) error {
		for {
			message, err := s.Receive(ctx)
			if err != nil || string(message) == "you close" {
				return err
			}
			if err := s.Send(ctx, message); err != nil {
				return err
			}
		}
	})
	hop := hostile.Listen(t, listen(t, srv), nil)
	cycle := func(i int) {
		cfg := withQuickCuts(trusting(alice, bob))
		switch i % 5 {
		case 3: // a stranger
			_, err := e2e.Dial(t.Context(), hop.URL(), trusting(mallory, bob))
			wantHandshake(t, err, e2e.ReasonRefused)
			return
		case 4: // one that does not come back: the server waits for it
			cfg = once(cfg)
		}
		c, err := e2e.Dial(t.Context(), hop.URL(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		switch i % 5 {
		case 1:
			for range 3 {
				hop.CutAll()
				mustSend(t, c, "again")
				mustReceive(t, c, "again")
			}
		case 2:
			mustSend(t, c, "you close")
			wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeDone}, true)
		case 4:
			hop.CutAll()
			wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrTruncated}, false)
		}
	}
	const warm = 100 // as many sessions wait then as may
	var first int64
	for i := range n {
		if cycle(i); i == warm {
			first = inUse()
		}
	}
	grown := inUse() - first
	t.Logf("%d cycles; %d bytes more in use than after %d", n, grown, warm)
	if grown > 2<<20 {
		t.Errorf("%d cycles left %d bytes behind", n-warm, grown)
	}
}

// Many idle sessions with a server in a process of its own, since each end takes a
// descriptor. They are 10,000 for a minute in the long form. What an end takes is
// printed.
func TestManySessions(t *testing.T) {
	if os.Getenv("HOPSEAL_MANY_SERVER") != "" {
		serveMany(t)
		return
	}
	n, hold := 100, time.Duration(0)
	if longTests() {
		n, hold = 10_000, time.Minute
	}
	server := startMany(t)
	cfg := trusting(alice)
	cfg.Verifier = trust.Pinned(server.fingerprint)
	base, opened := inUse(), time.Now()
	clients := make([]*e2e.Session, n)
	for i := range clients {
		clients[i] = mustDialAs(t, server.url, cfg)
	}
	t.Logf("%d sessions opened in %s", n, time.Since(opened).Round(time.Millisecond))
	over := time.NewTimer(hold)
	<-over.C
	t.Logf("one end of an idle session takes %d bytes of heap and stacks at the client, %d at the server",
		(inUse()-base)/int64(n), server.ask(t)/int64(n))
	for _, c := range clients {
		mustSend(t, c, "still there?")
	}
	for _, c := range clients {
		mustReceive(t, c, "still there?")
	}
	var closing sync.WaitGroup
	for _, c := range clients {
		closing.Go(func() { c.Close() })
	}
	closing.Wait()
	// The runtime keeps what it knows of goroutines that have ended, to use it again.
	if left := server.ask(t); left > int64(2<<20+n*1500) {
		t.Errorf("%d bytes are left at the server", left)
	}
}

// serveMany is the process of the server. It prints its address and fingerprint, and
// for each line that it reads what it takes more than at first.
func serveMany(t *testing.T) {
	cfg := hosting(bob)
	cfg.Verifier = trust.InsecureAnyone()
	srv := newServer(t, cfg, echo)
	web := httptest.NewServer(srv)
	defer web.Close()
	base := inUse()
	fmt.Println("SERVER", "ws"+strings.TrimPrefix(web.URL, "http"), bob.Fingerprint())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println("SERVER", inUse()-base)
	}
}

type manyServer struct {
	url         string
	fingerprint keys.Fingerprint
	in          *os.File
	out         *bufio.Scanner
}

func startMany(t *testing.T) *manyServer {
	t.Helper()
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestManySessions$")
	cmd.Env = append(os.Environ(), "HOPSEAL_MANY_SERVER=yes")
	cmd.Stdin, cmd.Stderr = theirs, os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() { ours.Close(); cmd.Wait(); cancel() })
	s := &manyServer{in: ours, out: bufio.NewScanner(stdout)}
	words := s.words(t)
	s.url = words[1]
	if s.fingerprint, err = keys.ParseFingerprint(words[2]); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *manyServer) words(t *testing.T) []string {
	t.Helper()
	for s.out.Scan() {
		if words := strings.Fields(s.out.Text()); len(words) > 0 && words[0] == "SERVER" {
			return words
		}
	}
	t.Fatal("the server has ended")
	return nil
}

// ask returns how many bytes the server takes more than before its first client.
func (s *manyServer) ask(t *testing.T) int64 {
	t.Helper()
	if _, err := fmt.Fprintln(s.in); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(s.words(t)[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
