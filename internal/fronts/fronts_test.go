//go:build unix

package fronts

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

func TestMain(m *testing.M) { leak.Main(m) }

func long() bool { return os.Getenv("HOPSEAL_LONG_TESTS") != "" }

// quick makes a client notice soon that its link is dead, and come back soon.
var quick = e2e.Config{
	Protocol: "count/1",
	Options:  e2e.Options{Logger: silent, KeepAlive: 200 * time.Millisecond, HandshakeTimeout: 2 * time.Second, Window: 128 << 10},
	Retry:    redial.Policy{Base: 5 * time.Millisecond, Cap: 100 * time.Millisecond, Stable: time.Millisecond},
}

// silent is where news goes that are what a test is for.
var silent = slog.New(slog.DiscardHandler)

// A service counts in both directions, with whoever comes.
type service struct {
	identity   *keys.Identity
	address    string
	runs       atomic.Int64 // of its function: one for each session
	up, down   counter
	enough     chan struct{}
	quiet      chan struct{} // holds a token once the service sends no more
	ended      chan error
	cfg        e2e.Config
	closeCodes hop
}

func startService(t *testing.T) *service {
	t.Helper()
	s := &service{enough: make(chan struct{}), quiet: make(chan struct{}, 1), ended: make(chan error, 1), identity: identity(t, "service"), cfg: quick}
	cfg := e2e.ServerConfig{Identity: s.identity, Verifier: trust.InsecureAnyone(), Protocol: quick.Protocol, Options: quick.Options}
	cfg.Accept = &transport.AcceptOptions{TrustedHops: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	srv, err := e2e.NewServer(cfg, s.serve)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket", srv)
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	s.closeCodes.Proxy = hostile.Listen(t, h.URL, s.closeCodes.plan)
	s.address = s.closeCodes.Addr()
	return s
}

func identity(t testing.TB, name string) *keys.Identity {
	t.Helper()
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *service) serve(ctx context.Context, session *e2e.Session) error {
	s.runs.Add(1)
	sent := make(chan error, 1)
	go func() {
		sent <- talk(ctx, session, &s.down, 5*time.Millisecond, 100_000, s.enough)
		select {
		case s.quiet <- struct{}{}:
		default: // another session of the service was before, which the test reports
		}
	}()
	err := listen(ctx, session, &s.up)
	if err == nil {
		err = <-sent
	}
	s.ended <- err
	return err
}

// A hop stands before the service and closes links with codes of its own.
type hop struct {
	*hostile.Proxy
	code   atomic.Uint32 // for some link; 0: none
	closed atomic.Int64  // links
}

// plan makes a link that ends in the middle of what the service says, where a code is
// wanted.
func (h *hop) plan(int) hostile.Script {
	return hostile.Frames(nil, hostile.Every(10, func(p hostile.Path, piece []byte) {
		code := uint16(h.code.Swap(0))
		if code == 0 {
			p.Send(piece)
			return
		}
		h.closed.Add(1)
		hostile.Close(code)(p, piece)
	}))
}

// A fault is something that befalls a front while a session goes through it.
type fault struct {
	name string
	do   func(t *testing.T, f *Front, s *service) error
}

// faults are in order: each begins with a session that works.
var faults = []fault{
	{"kill and start again", func(_ *testing.T, f *Front, _ *service) error { f.Kill(); return f.Start() }},
	{"reload", func(_ *testing.T, f *Front, _ *service) error { return f.Reload() }},
	{"stop for a while", func(_ *testing.T, f *Front, _ *service) error {
		f.Pause()
		defer f.Resume()
		time.Sleep(stopped()) // it is another process that stands still
		return nil
	}},
	{"answers of others", func(t *testing.T, f *Front, _ *service) error {
		heard, err := f.Instead(f.Misanswers(), 2*time.Minute)
		if !heard {
			t.Error("the client did not come for every answer")
		}
		return err
	}},
	{"close codes of a hop", func(_ *testing.T, _ *Front, s *service) error {
		for _, code := range []uint32{1000, 1001, 1008, 1011, 3000, 3003, 4000} {
			before := s.closeCodes.closed.Load()
			s.closeCodes.code.Store(code)
			if !within(time.Minute, nil, func() bool { return s.closeCodes.closed.Load() > before }) {
				return fmt.Errorf("code %d: nobody came to hear it", code)
			}
		}
		return nil
	}},
	{"kill again and again", func(_ *testing.T, f *Front, _ *service) error {
		for range 3 {
			f.Kill()
			if err := f.Start(); err != nil {
				return err
			}
		}
		return nil
	}},
}

// stopped is how long a front stands still: in the long form longer than links are
// given up with the defaults.
func stopped() time.Duration {
	if long() {
		return 70 * time.Second
	}
	return time.Second
}

// A session through each front outlives whatever becomes of it: not one message is
// lost, doubled or reordered, in either direction, and it is one session all the time.
func TestFaultsOfFronts(t *testing.T) {
	t.Parallel()
	for _, kind := range All {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			s := startService(t)
			f := Start(t, kind, Setup{Services: []string{s.address}, Cert: NewCert()})
			url, opts := f.Dial(s.address)
			cfg := s.cfg
			cfg.Identity, cfg.Verifier, cfg.Dial = identity(t, "client"), trust.Pinned(s.identity.Fingerprint()), opts
			session := dialSoon(t, url, cfg)
			defer session.Close()
			sent, heard := make(chan error, 1), make(chan error, 1)
			go func() { sent <- talk(context.Background(), session, &s.up, 5*time.Millisecond, 100_000, s.enough) }()
			go func() { heard <- listen(context.Background(), session, &s.down) }()
			for _, it := range faults {
				began := time.Now()
				if err := it.do(t, f, s); err != nil {
					t.Fatalf("%s: %v", it.name, err)
				}
				if !s.goesOn(session) {
					t.Fatalf("behind %q nothing arrives any more: up %s; down %s", it.name, &s.up, &s.down)
				}
				t.Logf("%s: %v, %d resumes so far", it.name, time.Since(began).Round(time.Millisecond), session.Stats().Resumes)
			}
			close(s.enough)
			if err := <-sent; err != nil {
				t.Error(err)
			}
			<-s.quiet // or a message that the service is still sending meets the close
			s.wantAll(t)
			if err := session.Close(); err != nil {
				t.Error(err)
			}
			<-heard
			if err := <-s.ended; err != nil {
				t.Error(err)
			}
			if runs := s.runs.Load(); runs != 1 {
				t.Errorf("the service had %d sessions", runs)
			}
			t.Logf("up: %s; down: %s; %d resumes", &s.up, &s.down, session.Stats().Resumes)
		})
	}
}

// dialSoon dials through a front that may not have found its service yet.
func dialSoon(t *testing.T, url string, cfg e2e.Config) (s *e2e.Session) {
	t.Helper()
	var err error
	if !within(time.Minute, nil, func() bool { s, err = e2e.Dial(t.Context(), url, cfg); return err == nil }) {
		t.Fatal(err)
	}
	return s
}

// goesOn waits until messages arrive in both directions.
func (s *service) goesOn(session *e2e.Session) bool {
	_, up, _, _, _ := s.up.figures()
	_, down, _, _, _ := s.down.figures()
	return within(2*time.Minute, session.Done(), func() bool {
		_, upNow, _, _, _ := s.up.figures()
		_, downNow, _, _, _ := s.down.figures()
		return upNow >= up+5 && downNow >= down+5
	})
}

// wantAll waits until everything has arrived, and wants it once and in order.
func (s *service) wantAll(t *testing.T) {
	t.Helper()
	for way, c := range map[string]*counter{"up": &s.up, "down": &s.down} {
		complete := within(time.Minute, nil, func() bool { sent, received, _, _, _ := c.figures(); return received >= sent })
		if !complete || !c.faultless() {
			t.Errorf("%s: %s", way, c)
		}
	}
}

// within reports whether something becomes true before a time or an event.
func within(d time.Duration, event <-chan struct{}, met func() bool) bool {
	late := time.After(d)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-event:
			return false
		case <-late:
			return false
		}
	}
	return true
}
