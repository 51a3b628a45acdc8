//go:build unix

package fronts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// plain are the sessions of a soak that are not stored: each has messages and streams
// both ways, and a second one beside it has calls.
type plain struct {
	soak     *soak
	identity *keys.Identity
	address  string

	streams, calls atomic.Int64 // that were complete

	mu       sync.Mutex // guards what follows
	sessions []*pair
	byName   map[keys.Fingerprint]*pair
	gone     []string
	running  sync.WaitGroup
}

// A pair is a session of a client with its counters of both directions.
type pair struct {
	name     string
	session  *e2e.Session
	up, down counter
	runs     atomic.Int64 // of the service's function
	pace     time.Duration
	slow     bool
	long     int // bytes of a long message
	calling  *e2e.Session
	sending  sync.WaitGroup // what either end still has to say
	closing  atomic.Bool
}

func startPlain(s *soak) *plain {
	p := &plain{soak: s, identity: identity(s.t, "service"), byName: map[keys.Fingerprint]*pair{}}
	router := http.NewServeMux()
	for path, serve := range map[string]func(context.Context, *e2e.Session) error{"/socket": p.serve, "/socket/calls": p.answering().Serve} {
		srv, err := e2e.NewServer(e2e.ServerConfig{
			Identity: p.identity, Verifier: trust.InsecureAnyone(), Protocol: "soak/1", Options: p.options(),
			Accept: &transport.AcceptOptions{TrustedHops: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		}, serve)
		must(err)
		s.t.Cleanup(func() { srv.Shutdown(context.Background()) })
		router.Handle(path, srv)
	}
	router.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	h := httptest.NewServer(router)
	s.t.Cleanup(h.Close)
	p.address = h.Listener.Addr().String()
	return p
}

// options are the defaults, but for what a test needs.
func (p *plain) options() e2e.Options {
	o := e2e.Options{Logger: silent}
	if p.soak.short {
		o.KeepAlive, o.HandshakeTimeout = quick.KeepAlive, quick.HandshakeTimeout
	}
	return o
}

// throughHop tells a client how to get through a hop.
func throughHop(h *hostile.Proxy) (string, *transport.DialOptions) {
	return "ws://" + h.Addr() + "/socket", &transport.DialOptions{Sealed: true, Policy: transport.Development}
}

// dial begins a pair of sessions. Half of them notice soon that a link is dead, the
// others have the defaults.
func (p *plain) dial(name, url string, opts *transport.DialOptions, defaults bool) {
	it := &pair{name: name, pace: p.soak.pace(), long: 100_000, slow: name == "slow line"}
	if it.slow {
		it.pace *= 8
	}
	if it.slow && !p.soak.short {
		it.long = 1 << 20 // takes two minutes
	}
	me := identity(p.soak.t, name)
	p.mu.Lock()
	p.byName[me.Fingerprint()] = it
	p.sessions = append(p.sessions, it)
	p.mu.Unlock()
	cfg := e2e.Config{Identity: me, Verifier: trust.Pinned(p.identity.Fingerprint()), Protocol: "soak/1", Options: p.options(), Dial: opts}
	if p.soak.short {
		cfg.Retry = quick.Retry
	}
	if !defaults {
		cfg.KeepAlive, cfg.Retry = 2*time.Second, redial.Policy{Base: 20 * time.Millisecond, Cap: time.Second, Stable: time.Second}
	}
	var err error
	dial := func(path string) (s *e2e.Session) {
		for range 100 { // a hostile hop may be in the way
			if s, err = e2e.Dial(p.soak.ctx, url+path, cfg); err == nil {
				return s
			}
		}
		p.soak.t.Fatalf("%s: %v", name, err)
		return nil
	}
	it.session, it.calling = dial(""), dial("/calls")
	it.sending.Go(func() { p.note(it, "messages", talk(p.soak.ctx, it.session, &it.up, it.pace, it.long, p.soak.enough)) })
	it.sending.Go(func() { p.note(it, "streams", p.sendStreams(it, it.session)) })
	it.sending.Go(func() { p.note(it, "calls", p.call(it)) })
	p.running.Go(func() { p.note(it, "answers", listen(p.soak.ctx, it.session, &it.down)) })
	p.running.Go(func() { p.note(it, "streams that come", p.readStreams(it.session)) })
}

// note notes the end of a part of a session, which is one of the session unless it was
// meant.
func (p *plain) note(it *pair, part string, err error) {
	if err == nil || it.closing.Load() {
		return
	}
	p.mu.Lock()
	p.gone = append(p.gone, fmt.Sprintf("%s, %s: %v", it.name, part, err))
	p.mu.Unlock()
	p.soak.log("ENDED %s, %s: %v", it.name, part, err)
}

func (p *plain) endings() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.gone)
}

// serve is the service's end of a session.
func (p *plain) serve(ctx context.Context, s *e2e.Session) error {
	p.mu.Lock()
	it := p.byName[s.Peer().Fingerprint()]
	p.mu.Unlock()
	if it.runs.Add(1) > 1 {
		p.soak.log("VIOLATION: %s begins another session", it.name)
	}
	it.sending.Go(func() { p.note(it, "the service's messages", talk(ctx, s, &it.down, it.pace, it.long, p.soak.enough)) })
	it.sending.Go(func() { p.note(it, "the service's streams", p.sendStreams(it, s)) })
	p.running.Go(func() { p.note(it, "streams that come to the service", p.readStreams(s)) })
	return listen(ctx, s, &it.up)
}

// sendStreams sends one stream after the other, each of numbered words.
func (p *plain) sendStreams(it *pair, s *e2e.Session) error {
	for {
		select {
		case <-p.soak.enough:
			return nil
		case <-time.After(20 * it.pace):
		}
		words := rand.Uint64N(20_000)
		if it.slow {
			words /= 10
		}
		if err := s.SendStream(p.soak.ctx, "words", &wordReader{left: words}, &e2e.StreamOptions{Data: binary.BigEndian.AppendUint64(nil, words)}); err != nil {
			return err
		}
	}
}

// A wordReader gives numbered words of eight bytes.
type wordReader struct{ next, left uint64 }

func (r *wordReader) Read(b []byte) (n int, err error) {
	for n+8 <= len(b) && r.left > 0 {
		binary.BigEndian.PutUint64(b[n:], r.next)
		n, r.next, r.left = n+8, r.next+1, r.left-1
	}
	if n == 0 && r.left == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// readStreams checks every word of every stream, until the session ends.
func (p *plain) readStreams(s *e2e.Session) error {
	for {
		r, err := s.ReceiveStream(p.soak.ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := checkWords(r, binary.BigEndian.Uint64(r.Data)); errors.Is(err, net.ErrClosed) {
			return err
		} else if err != nil {
			p.soak.violation("a stream: %v", err)
		}
		p.streams.Add(1)
		r.Close()
	}
}

func checkWords(r io.Reader, words uint64) error {
	var word [8]byte
	for n := range words {
		if _, err := io.ReadFull(r, word[:]); err != nil {
			return fmt.Errorf("word %d of %d: %w", n, words, err)
		}
		if got := binary.BigEndian.Uint64(word[:]); got != n {
			return fmt.Errorf("%d stands in the place of word %d", got, n)
		}
	}
	if n, err := r.Read(word[:]); n != 0 || err != io.EOF {
		return fmt.Errorf("behind %d words: %d bytes, %v", words, n, err)
	}
	return nil
}

// answering serves calls, each of which has to come once.
func (p *plain) answering() *mux.Mux {
	router := mux.New()
	var mu sync.Mutex
	served := map[string]bool{}
	router.Handle("sum", func(_ context.Context, m *e2e.Request) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if key := string(m.Data[:24]); served[key] {
			p.soak.violation("a call was served twice")
		} else {
			served[key] = true
		}
		return sum(m.Data), nil
	})
	return router
}

func sum(data []byte) []byte {
	h := fnv.New64()
	h.Write(data)
	return h.Sum(nil)
}

// call asks for sums.
func (p *plain) call(it *pair) error {
	for n := uint64(0); ; n++ {
		question := fmt.Appendf(nil, "%16.16s%08d", it.name, n)
		question = append(question, make([]byte, rand.IntN(2000))...)
		answer, err := it.calling.Call(p.soak.ctx, "sum", question)
		if err != nil {
			return err
		}
		if string(answer) != string(sum(question)) {
			p.soak.violation("%s: call %d got the answer %x", it.name, n, answer)
		}
		p.calls.Add(1)
		select {
		case <-p.soak.enough:
			return nil
		case <-time.After(4 * it.pace):
		}
	}
}

func (s *soak) violation(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.log("VIOLATION: %s", text)
	s.mu.Lock()
	s.violations = append(s.violations, text)
	s.mu.Unlock()
}

// String says how it stands.
func (p *plain) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sum [5]uint64
	var resumes uint64
	each := ""
	for _, it := range p.sessions {
		for _, c := range []*counter{&it.up, &it.down} {
			sent, received, lost, doubled, reordered := c.figures()
			for i, n := range []uint64{sent, received, lost, doubled, reordered} {
				sum[i] += n
			}
		}
		n := it.session.Stats().Resumes
		each += fmt.Sprintf(" %s %d,", it.name, n)
		resumes += n + it.calling.Stats().Resumes
	}
	return fmt.Sprintf("%d sent, %d received, %d lost, %d doubled, %d reordered; %d streams, %d calls; %d resumes (%s)",
		sum[0], sum[1], sum[2], sum[3], sum[4], p.streams.Load(), p.calls.Load(), resumes, each)
}

// finish waits until everything has arrived, closes and judges.
func (p *plain) finish() {
	for _, it := range p.sessions {
		began := time.Now()
		for way, c := range map[string]*counter{"up": &it.up, "down": &it.down} {
			all := within(2*time.Minute, it.session.Done(), func() bool { sent, received, _, _, _ := c.figures(); return received >= sent })
			if !all || !c.faultless() {
				p.soak.t.Errorf("%s, %s: %s", it.name, way, c)
			}
		}
		it.sending.Wait()
		it.closing.Store(true)
		if err := errors.Join(it.session.Close(), it.calling.Close()); err != nil {
			p.soak.t.Errorf("%s: %v", it.name, err)
		}
		if it.runs.Load() != 1 {
			p.soak.t.Errorf("%s had %d sessions", it.name, it.runs.Load())
		}
		p.soak.log("%s had everything and closed after %v", it.name, time.Since(began).Round(time.Millisecond))
	}
	p.running.Wait()
	for _, why := range p.gone {
		p.soak.t.Error(why)
	}
}
