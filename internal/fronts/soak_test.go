//go:build unix

package fronts

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// soakTime is how long the soak lasts: HOPSEAL_SOAK, half an hour in the long form of
// the tests, and some seconds otherwise.
func soakTime(t *testing.T) time.Duration {
	switch text := os.Getenv("HOPSEAL_SOAK"); {
	case text != "":
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("HOPSEAL_SOAK: %v", err)
		}
		return d
	case long():
		return 30 * time.Minute
	}
	return 4 * time.Second
}

// A soak has sessions of every kind go through fronts, proxies and hostile hops while
// these are killed, stopped, reloaded and replaced, and both ends too where they have a
// store.
type soak struct {
	t      *testing.T
	out    io.Writer
	began  time.Time
	ctx    context.Context // ends with the test
	enough chan struct{}   // closed: nobody sends any more
	short  bool

	plain    *plain
	fronts   []*Front
	hops     []*hostile.Proxy
	nodes    []*process
	clients  []*process
	journals string

	mu         sync.Mutex // guards what follows
	faults     map[string]int
	ended      int
	violations []string
	resumes    uint64 // of clients in processes of their own
	refused    uint64 // attempts of these, by an answer
	slowest    time.Duration
	vitals     map[string]string
}

// Sessions of all kinds outlive hours of everything that befalls them: 0 lost, doubled,
// reordered, ended. Each minute a line says how it stands; it goes to the file that
// HOPSEAL_SOAK_LOG names.
func TestSoak(t *testing.T) {
	t.Parallel()
	for _, kind := range All {
		Need(t, kind.Program)
	}
	d := soakTime(t)
	s := &soak{t: t, out: io.Discard, began: time.Now(), enough: make(chan struct{}), short: d < time.Minute,
		faults: map[string]int{}, vitals: map[string]string{}, journals: t.TempDir()}
	if name := os.Getenv("HOPSEAL_SOAK_LOG"); name != "" {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		s.out = file
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.ctx = ctx
	s.startAll()
	s.log("%d sessions that are not stored, %d that are; %v", len(s.plain.sessions), len(s.clients)*2, d)
	over := time.After(d)
	early, ignore := signal.NotifyContext(ctx, syscall.SIGTERM) // ends the soak before its time
	defer ignore()
	faults, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	s.disturb(faults, &running)
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for done := false; !done; {
		select {
		case <-minute.C:
			s.report()
		case <-over:
			done = true
		case <-early.Done():
			done = true
		}
	}
	stop()
	running.Wait()
	s.finish()
}

// log writes a line.
func (s *soak) log(format string, args ...any) {
	line := fmt.Sprintf("%s %7s  ", time.Now().UTC().Format("15:04:05"), time.Since(s.began).Round(time.Second)) + fmt.Sprintf(format, args...)
	fmt.Fprintln(s.out, line)
	s.t.Log(line)
}

// startAll starts everything that the sessions go through, and the sessions.
func (s *soak) startAll() {
	cert := NewCert()
	s.plain = startPlain(s)
	for _, kind := range All {
		f := Start(s.t, kind, Setup{Services: []string{s.plain.address}, Cert: cert})
		s.fronts = append(s.fronts, f)
		url, opts := f.Dial(s.plain.address)
		s.plain.dial(kind.Name, url, opts, len(s.fronts)%2 == 0)
	}
	s.startHops()
	s.startStored(cert)
}

// startHops puts hops in the way that break what they can, and one that is slow.
func (s *soak) startHops() {
	broken := hostile.Listen(s.t, s.plain.address, hostile.Seeded(uint64(time.Now().UnixNano()), script))
	rate := 500 // bytes in 60 ms: 64 kbit/s
	if s.short {
		rate *= 20
	}
	slow := hostile.Listen(s.t, s.plain.address, func(int) hostile.Script {
		return hostile.Script{FromClient: hostile.Trickle(rate, 60*time.Millisecond), ToClient: hostile.Trickle(rate, 60*time.Millisecond)}
	})
	s.hops = append(s.hops, broken, slow)
	for i, h := range s.hops {
		url, opts := throughHop(h)
		s.plain.dial([]string{"hostile hop", "slow line"}[i], url, opts, i == 1)
	}
}

// script picks what a hop does to one link. It leaves the handshake alone, so that there
// is a session.
func script(rng *rand.Rand) hostile.Script {
	at := 2000 + rng.IntN(60_000)
	var f hostile.Fault
	switch rng.IntN(10) {
	case 0:
		f = hostile.At(at, 1, hostile.Cut)
	case 1:
		f = hostile.At(at, 1, hostile.Reset)
	case 2:
		f = hostile.At(at, 1, hostile.Stall)
	case 3:
		f = hostile.At(at, 1+rng.IntN(50), hostile.Corrupt(rng))
	case 4:
		f = hostile.At(at, 1+rng.IntN(50), hostile.Drop)
	case 5:
		f = hostile.At(at, 1+rng.IntN(50), hostile.Repeat)
	case 6:
		f = hostile.At(at, 100, hostile.Late(time.Duration(rng.IntN(2000))*time.Millisecond))
	case 7:
		return hostile.Frames(nil, hostile.Nth(10+rng.IntN(50), hostile.Close([]uint16{1000, 1001, 1008, 3000, 3003, 4000}[rng.IntN(6)])))
	case 8:
		f = hostile.From(at, hostile.Trickle(300, 20*time.Millisecond))
	default:
		f = hostile.Pass
	}
	life := hostile.From(10_000+rng.IntN(500_000), hostile.Cut) // there are always new links
	if rng.IntN(2) == 0 {
		return hostile.Script{FromClient: f, ToClient: life}
	}
	return hostile.Script{FromClient: life, ToClient: f}
}

// startStored starts two nodes that share a store, fronts before them, and two
// processes with clients: one that is killed now and then, and one that is not.
func (s *soak) startStored(cert *Cert) {
	storeKeys, err := keys.GenerateSharedKeyset()
	must(err)
	keyset, err := storeKeys.MarshalCleartext(insecurecleartext.Token{})
	must(err)
	me := identity(s.t, "nodes")
	node := task{Store: s.dir("nodes"), Journals: s.journals, Pace: s.pace(), StoreKeys: keyset, Identities: [][]byte{clear(me)}, Drain: time.Second}
	var addresses []string
	for i := range 2 {
		node.Address = freeport.Address(s.t)
		addresses = append(addresses, node.Address)
		s.nodes = append(s.nodes, s.process(fmt.Sprint("node ", i), node))
	}
	var urls []string
	for _, kind := range []*Kind{Nginx, HAProxy} {
		f := Start(s.t, kind, Setup{Services: addresses, Cert: cert})
		s.fronts = append(s.fronts, f)
		url, _ := f.Dial("")
		urls = append(urls, url)
	}
	for i := range 2 {
		s.clients = append(s.clients, s.process(fmt.Sprint("clients ", i), task{URLs: urls, Roots: cert.RootPEM, Pace: s.pace(), Default: i == 1,
			Store: s.dir(fmt.Sprint("clients", i)), Journals: s.journals, StoreKeys: keyset, Server: me.Fingerprint().String(),
			Identities: [][]byte{clear(identity(s.t, "a")), clear(identity(s.t, "b"))}}))
	}
}

// pace is the time between two messages of a session.
func (s *soak) pace() time.Duration {
	if s.short {
		return 10 * time.Millisecond
	}
	return 250 * time.Millisecond
}

// dir returns a directory of a store, whose disk is memory where there is one: the soak
// kills processes, not machines.
func (s *soak) dir(name string) string {
	dir, err := os.MkdirTemp("/dev/shm", "hopseal-soak-")
	if err != nil {
		return s.t.TempDir()
	}
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	return dir + "/" + name
}

func clear(id *keys.Identity) []byte {
	b, err := id.MarshalCleartext(insecurecleartext.Token{})
	must(err)
	return b
}

// process starts a process and takes what it says.
func (s *soak) process(name string, it task) *process {
	p := &process{task: it, told: func(line string) { s.heard(name, line) }}
	must(p.start())
	s.t.Cleanup(p.kill)
	return p
}

func (s *soak) heard(name, line string) {
	text, err := strconv.Unquote(strings.TrimSpace(line))
	if err != nil {
		return // the end of a line of a process that was killed
	}
	kind, rest, _ := strings.Cut(text, ": ")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case "violation":
		s.violations = append(s.violations, name+": "+rest)
	case "ended":
		s.ended++
	case "resumed":
		ms, _ := strconv.Atoi(rest)
		s.resumes++
		s.slowest = max(s.slowest, time.Duration(ms)*time.Millisecond)
		return
	case "refused":
		s.refused++
		return
	case "vitals":
		s.vitals[name] = rest
		return
	}
	go s.log("%s says: %s", name, text)
}

func (s *soak) count(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[fault]++
}

// report writes down how it stands.
func (s *soak) report() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	client, server := journals(s.journals, "client"), journals(s.journals, "server")
	s.mu.Lock()
	faults, vitals := fmt.Sprint(s.faults), fmt.Sprint(s.vitals)
	resumes, slowest, refused, ended, violations := s.resumes, s.slowest, s.refused, s.ended, len(s.violations)
	s.slowest = 0
	s.mu.Unlock()
	s.log("not stored: %s", s.plain)
	s.log("stored: %d sent, %d received, %d lost, %d doubled, %d came again after a kill; %d resumes, the slowest %v, %d attempts refused",
		client[fieldSent]+server[fieldSent], client[fieldLast]+server[fieldLast], client[fieldLost]+server[fieldLost],
		client[fieldDoubled]+server[fieldDoubled], client[fieldAgain]+server[fieldAgain], resumes, slowest, refused)
	s.log("ended: %d, violations: %d; goroutines %d, heap %d KiB; %s; faults: %s",
		ended+s.plain.endings(), violations, runtime.NumGoroutine(), m.HeapAlloc>>10, vitals, faults)
}

// finish has everything that was sent arrive, and judges.
func (s *soak) finish() {
	close(s.enough)
	sayEnough(s.journals)
	s.plain.finish()
	if !within(2*time.Minute, nil, func() bool { return settled(s.journals) }) {
		s.t.Error("not everything that is stored has arrived")
	}
	for _, p := range s.clients {
		p.kill()
	}
	for _, p := range s.nodes {
		p.kill()
	}
	s.report()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.violations {
		s.t.Error(v)
	}
	if s.ended > 0 {
		s.t.Errorf("%d stored sessions ended", s.ended)
	}
	for _, end := range []string{"client", "server"} {
		sum := journals(s.journals, end)
		if sum[fieldLost]+sum[fieldDoubled] > 0 || sum[fieldLast] == 0 {
			s.t.Errorf("stored, as the %s has it: %d received, %d lost, %d doubled", end, sum[fieldLast], sum[fieldLost], sum[fieldDoubled])
		}
	}
}
