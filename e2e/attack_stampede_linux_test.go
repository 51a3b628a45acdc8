package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A cast is a process that plays a part in a stampede: each end of a connection takes a
// descriptor, and one process may not have enough of them.
type cast struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// What a process of the cast is told.
const (
	stampedePart   = "HOPSEAL_TEST_STAMPEDE"
	stampedeListen = "HOPSEAL_TEST_STAMPEDE_LISTEN"
	stampedeTarget = "HOPSEAL_TEST_STAMPEDE_TARGET"
)

// play starts a process, and waits until it says that it is there.
func play(t testing.TB, part, listen, target string) *cast {
	t.Helper()
	c := &cast{cmd: exec.Command(os.Args[0], "-test.run=^TestStampede$")}
	c.cmd.Env = append(os.Environ(), stampedePart+"="+part, stampedeListen+"="+listen, stampedeTarget+"="+target)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out = in, bufio.NewScanner(out)
	t.Cleanup(c.kill)
	return c
}

func (c *cast) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// line returns the next thing that the process says.
func (c *cast) line(t testing.TB) string {
	t.Helper()
	for c.out.Scan() {
		if what, ok := strings.CutPrefix(c.out.Text(), "STAMPEDE "); ok {
			return what
		}
	}
	t.Fatal("a process of the stampede has ended")
	return ""
}

// A report is what the server says of itself.
type report struct {
	CPU                          time.Duration
	Greeted, Ended               map[string]uint64
	Sessions, Parked, Handshakes int
}

func (c *cast) report(t testing.TB) (r report) {
	t.Helper()
	fmt.Fprintln(c.in)
	if err := json.Unmarshal([]byte(c.line(t)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// cpu returns how much this process has computed.
func cpu() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// playServer is the process of the server, with default settings.
func playServer(t *testing.T) {
	cfg := hosting(bob)
	cfg.Verifier = trust.InsecureAnyone()
	srv, err := e2e.NewServer(cfg, echo)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, srv)
	fmt.Println("STAMPEDE", l.Addr(), bob.Fingerprint())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		s := srv.Stats()
		b, _ := json.Marshal(report{cpu(), s.Greeted, s.Ended, s.Sessions, s.Parked, s.Handshakes})
		fmt.Println("STAMPEDE", string(b))
	}
	os.Exit(0) // the test has ended
}

// playFront is the process of a front: a proxy that carries bytes.
func playFront(t *testing.T) {
	l, err := net.Listen("tcp", os.Getenv(stampedeListen))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("STAMPEDE", l.Addr())
	go func() { // not to outlive the test
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		client, err := l.Accept()
		if err != nil {
			continue
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", os.Getenv(stampedeTarget))
			if err != nil {
				return
			}
			defer server.Close()
			go func() { ferry(server, client); server.Close(); client.Close() }()
			ferry(client, server)
		}()
	}
}

// ferry is io.Copy without splice(2), for which each direction would take two descriptors more.
func ferry(to io.Writer, from io.Reader) {
	io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 2<<10))
}

// A herd is the clients of a stampede.
type herd struct {
	t        *testing.T
	server   *cast
	fronts   []*cast
	address  []string // of the fronts
	target   string
	sessions []*e2e.Session
	answered []atomic.Int64
	ended    atomic.Int64
	reading  sync.WaitGroup
}

// perFront is how many sessions go over one process of a front: it has two ends of each.
const perFront = 5000

func newHerd(t *testing.T, n int) *herd {
	h := &herd{t: t, server: play(t, "server", "", ""), sessions: make([]*e2e.Session, n), answered: make([]atomic.Int64, n)}
	words := strings.Fields(h.server.line(t))
	h.target = words[0]
	fingerprint, err := keys.ParseFingerprint(words[1])
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += perFront {
		h.fronts = append(h.fronts, play(t, "front", "127.0.0.1:0", h.target))
		h.address = append(h.address, h.fronts[len(h.fronts)-1].line(t))
	}
	var who []*keys.Identity
	for i := 0; i < n; i += 500 {
		who = append(who, newIdentity(fmt.Sprint("client ", i)))
	}
	began := time.Now()
	var next atomic.Int64
	var dialling sync.WaitGroup
	for range 16 {
		dialling.Go(func() {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				cfg := trusting(who[i/500])
				cfg.Verifier = trust.Pinned(fingerprint)
				s, err := e2e.Dial(context.Background(), "ws://"+h.address[i/perFront], cfg)
				if err != nil {
					t.Errorf("session %d: %v", i, err)
					return
				}
				h.sessions[i] = s
			}
		})
	}
	if dialling.Wait(); t.Failed() {
		t.FailNow()
	}
	for i, s := range h.sessions {
		h.reading.Go(func() { h.read(i, s) })
	}
	t.Logf("%d sessions opened in %v", n, time.Since(began).Round(time.Millisecond))
	return h
}

// read counts the answers of a session, which have to be the numbers that it sends.
func (h *herd) read(i int, s *e2e.Session) {
	for {
		message, err := s.Receive(context.Background())
		if err != nil {
			h.ended.Add(1)
			return
		}
		if string(message) == "0" {
			continue
		}
		if n := h.answered[i].Add(1); string(message) != fmt.Sprint(n) {
			h.t.Errorf("session %d: answer %q, want %d", i, message, n)
		}
	}
}

// say has every session send a number, without waiting for its answer.
func (h *herd) say(n int) {
	for i, s := range h.sessions {
		if err := s.Send(context.Background(), fmt.Append(nil, n)); err != nil {
			h.t.Errorf("session %d: %v", i, err)
		}
	}
}

// await waits until every session has had n answers, or the time is over, and returns how many
// have.
func (h *herd) await(n int64, most time.Duration) (have int) {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		have = 0
		for i := range h.answered {
			if h.answered[i].Load() >= n {
				have++
			}
		}
		if have == len(h.sessions) || time.Since(began) > most {
			return have
		}
	}
}

// killFronts kills the fronts and starts them again.
func (h *herd) killFronts() {
	for _, f := range h.fronts {
		f.kill()
	}
	for i := range h.fronts {
		h.fronts[i] = play(h.t, "front", h.address[i], h.target)
		h.fronts[i].line(h.t)
	}
}

func (h *herd) close() {
	var closing sync.WaitGroup
	for _, s := range h.sessions {
		closing.Go(func() { s.Close() })
	}
	closing.Wait()
	h.reading.Wait()
}

// A front with many sessions is killed and starts again: behind one address, with default
// settings, all of them go on, and nothing is lost.
func TestStampede(t *testing.T) {
	switch os.Getenv(stampedePart) {
	case "server":
		playServer(t)
		return
	case "front":
		playFront(t)
		return
	}
	n := 1000
	switch {
	case longTests():
		n = 10_000
	case slowtest.Mode:
		n = 200
	}
	if s := os.Getenv("HOPSEAL_STAMPEDE"); s != "" {
		fmt.Sscan(s, &n)
	}
	h := newHerd(t, n)
	h.say(1)
	if have := h.await(1, time.Minute); have < n {
		t.Fatalf("%d of %d sessions work", have, n)
	}
	leisure := h.atLeisure(min(n, 1000))
	before, mine, began := h.server.report(t), cpu(), time.Now()
	h.killFronts()
	h.say(2)
	have := h.await(2, time.Minute)
	took := time.Since(began)
	after, used := h.server.report(t), cpu()-mine
	each := (used + after.CPU - before.CPU) / time.Duration(n)
	t.Logf("%d of %d sessions back after %v; each computed %v (clients %v, server %v in all), %.2f times as much as at leisure (%v); in a pipe a resume computes %v",
		have, n, took.Round(10*time.Millisecond), each, used.Round(time.Millisecond), (after.CPU - before.CPU).Round(time.Millisecond),
		float64(each)/float64(leisure), leisure, inAPipe(t))
	if have < n || h.ended.Load() > 0 || after.Sessions != n || after.Parked > 0 {
		t.Errorf("%d of %d are back, %d ended", have, n, h.ended.Load())
	}
	if after.Greeted["evicted"] > 0 || after.Greeted["established"] != uint64(n) {
		t.Errorf("greeted: %v", after.Greeted)
	}
	t.Logf("greeted %v, ended %v", nonzero(after.Greeted), nonzero(after.Ended))
	h.close()
}

// atLeisure cuts sessions one after the other, and returns what each computes at both ends to
// come back and to say something.
func (h *herd) atLeisure(n int) time.Duration {
	before, mine := h.server.report(h.t), cpu()
	for _, s := range h.sessions[:n] {
		go e2e.ConnOf(s).Close(transport.CodeGoingAway, "")
		time.Sleep(3 * time.Millisecond)
	}
	for _, s := range h.sessions[:n] {
		for s.Stats().Resumes == 0 {
			time.Sleep(time.Millisecond)
		}
		if err := s.Send(context.Background(), []byte("0")); err != nil {
			h.t.Error(err)
		}
		if err := s.Flush(context.Background()); err != nil {
			h.t.Error(err)
		}
	}
	return (cpu() - mine + h.server.report(h.t).CPU - before.CPU) / time.Duration(n)
}

// inAPipe returns what both ends of a resume compute where nothing else is to be done for it.
func inAPipe(t *testing.T) time.Duration {
	const n = 300
	r := &road{srv: newServer(t, hosting(bob, alice), echo)}
	cfg := trusting(alice, bob)
	cfg.Retry.Base, cfg.Retry.Cap = time.Millisecond, time.Millisecond
	c := r.client(t, cfg)
	before := cpu()
	for i := range n {
		mustSend(t, c, fmt.Sprint(i))
		mustReceive(t, c, fmt.Sprint(i))
		r.set(func(r *road) { r.pipes[len(r.pipes)-1].Cut() })
	}
	return (cpu() - before) / n
}
