//go:build !js

package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// inUse returns the heap and stacks of this process, in bytes.
func inUse() int64 {
	for range 3 { // pools take two collections to empty
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// listen puts a server on a socket and returns its ws:// URL.
func listen(t testing.TB, srv http.Handler) string {
	t.Helper()
	web := httptest.NewServer(srv)
	t.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http")
}

// once makes a session end with its first connection, for tests of what is noticed on
// that.
func once[C anyConfig](cfg C) C {
	switch cfg := any(&cfg).(type) {
	case *e2e.Config:
		cfg.Retry.Decide = func(error) redial.Action { return redial.Stop }
	case *e2e.ServerConfig:
		cfg.MaxParked = -1
	}
	return cfg
}

func mustDial(t testing.TB, url string) *e2e.Session {
	t.Helper()
	return mustDialAs(t, url, trusting(alice, bob))
}

func mustDialAs(t testing.TB, url string, cfg e2e.Config) *e2e.Session {
	t.Helper()
	c, err := e2e.Dial(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDialOverSocket(t *testing.T) {
	url := listen(t, newServer(t, hosting(bob, alice), echo))
	c := mustDial(t, url+"/echo")
	if info := c.Info(); info.Transport.Kind != "ws" || info.Transport.Remote == "" {
		t.Errorf("Info: %+v", info)
	}
	for _, size := range []int{0, 1, 100_000, e2e.DefaultMaxMessage} {
		message := string(bytes.Repeat([]byte{'m'}, size))
		mustSend(t, c, message)
		mustReceive(t, c, message)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestDialOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(newServer(t, hosting(bob, alice), echo))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	cfg := trusting(alice, bob)
	cfg.Dial = &transport.DialOptions{TLS: &transport.TLSOptions{Base: &tls.Config{RootCAs: roots}}, MaxMessage: 1}
	c, err := e2e.Dial(t.Context(), web.URL, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustSend(t, c, "hello")
	mustReceive(t, c, "hello")
	if c.Info().Transport.Kind != "wss" {
		t.Errorf("Info: %+v", c.Info())
	}
	if cfg.Dial.MaxMessage != 1 {
		t.Error("Dial changed the caller's options")
	}
}

// The goodbye of both ends arrives over a real socket too, and nothing else does.
func TestCloseOverSocket(t *testing.T) {
	results := make(chan error, 2)
	srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		if message, _ := s.Receive(ctx); string(message) == "you close" {
			return nil
		}
		_, err := s.Receive(ctx)
		results <- err
		return err
	})
	url := listen(t, srv)

	c := mustDial(t, url)
	mustSend(t, c, "you close")
	wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeDone}, true)

	c = mustDial(t, url)
	mustSend(t, c, "I close")
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-results; !errors.Is(err, io.EOF) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("the server saw %v", err)
	}
}

// proxy is a hop on TCP that can be cut.
type proxy struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	work  sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l}
	p.work.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				a.Close()
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, a, b)
			p.mu.Unlock()
			p.work.Go(func() { io.Copy(a, b); a.Close() })
			p.work.Go(func() { io.Copy(b, a); b.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(); p.work.Wait() })
	return p
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// A15: a link that breaks is no end of the conversation.
func TestA15CutLink(t *testing.T) {
	ended := make(chan error, 1)
	srv := newServer(t, once(hosting(bob, alice)), func(ctx context.Context, s *e2e.Session) error {
		err := echo(ctx, s)
		ended <- err
		return err
	})
	p := newProxy(t, strings.TrimPrefix(listen(t, srv), "ws://"))
	c := mustDialAs(t, "ws://"+p.Addr().String(), once(trusting(alice, bob)))
	mustSend(t, c, "hello")
	mustReceive(t, c, "hello")
	p.cut()
	wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrTruncated}, false)
	if err := <-ended; !errors.Is(err, e2e.ErrTruncated) || errors.Is(err, io.EOF) {
		t.Errorf("the server saw %v", err)
	}
}

// A33: sockets that stall, before and in the middle of a handshake.
func TestA33FloodOverSockets(t *testing.T) {
	cfg := hosting(bob, alice)
	cfg.MaxHandshakes, cfg.MaxHandshakesPerAddress = 4, 4
	url := listen(t, newServer(t, cfg, echo))
	for i := range 20 {
		conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{Policy: transport.Development})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(transport.CodeNormal, "")
		if i%2 == 0 {
			conn.Write(t.Context(), make([]byte, 10)) // garbage, which the server answers by closing
		}
	}
	c := mustDial(t, url)
	mustSend(t, c, "hello")
	mustReceive(t, c, "hello")
}

// A33: whoever is not known yet cannot make a server hold more than a handshake's
// first message.
func TestA33StrangersMessageIsBounded(t *testing.T) {
	const firstLimit = 8 << 10
	cfg := hosting(bob, alice)
	cfg.MaxMessage = 64 << 20
	url := listen(t, newServer(t, cfg, echo))
	for size, want := range map[int]transport.Code{
		firstLimit:     transport.CodePolicy,
		firstLimit + 1: transport.CodeTooLarge,
		32 << 20:       0, // the close may get lost: the link breaks under the Write
	} {
		conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{Policy: transport.Development})
		if err != nil {
			t.Fatal(err)
		}
		message := make([]byte, size)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		go conn.Write(context.Background(), message)
		_, err = conn.Read(t.Context(), nil)
		runtime.ReadMemStats(&after)
		var closed *transport.CloseError
		if !errors.As(err, &closed) || want != 0 && closed.Code != want {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%d bytes made the ends allocate %d", size, grown)
		}
		conn.Close(transport.CodeNormal, "")
	}
}

func TestServerTurnsAwayBeforeTheUpgrade(t *testing.T) {
	cfg := hosting(bob, alice)
	cfg.MaxSessions = 1
	srv := newServer(t, cfg, echo)
	url := listen(t, srv)
	c := mustDial(t, url)
	mustSend(t, c, "hello")
	mustReceive(t, c, "hello")
	_, err := e2e.Dial(t.Context(), url, trusting(alice, bob))
	var refused *transport.DialError
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || refused.Permanent() {
		t.Errorf("beyond the limit: %v", err)
	}
	resp, err := http.Get("http" + strings.TrimPrefix(url, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || !resp.Close {
		t.Errorf("%s, and the connection stays: %v", resp.Status, !resp.Close)
	}
	srv.Shutdown(t.Context())
	if _, err := e2e.Dial(t.Context(), url, trusting(alice, bob)); !errors.As(err, &refused) {
		t.Errorf("after Shutdown: %v", err)
	}
}

// A43: a page of another origin does not get as far as a handshake.
func TestA43ForeignOriginIsRefused(t *testing.T) {
	var log notebook
	cfg := hosting(bob, alice)
	cfg.Logger = log.logger()
	srv := newServer(t, cfg, echo)
	url := listen(t, srv)
	page := trusting(alice, bob)
	page.Dial = &transport.DialOptions{Header: http.Header{"Origin": {"https://evil.example"}}}
	var refused *transport.DialError
	if _, err := e2e.Dial(t.Context(), url, page); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
		t.Errorf("%v", err)
	}
	if got := nonzero(srv.Stats().Greeted); got != "map[upgrade:1]" {
		t.Errorf("counted %s", got)
	}
	if text := log.text(); strings.Count(text, "\n") != 1 || !strings.Contains(text, transport.ErrOrigin.Error()) {
		t.Errorf("logged\n%s", text)
	}
}

// reporting is a server whose ServeConn tells what it returns. Its ServeHTTP tells Logger and
// Stats only.
func reporting(srv *e2e.Server, reports chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{MaxMessage: e2e.MaxFrame(e2e.DefaultMaxMessage), Sealed: true})
		if err != nil {
			reports <- err
			return
		}
		if err := srv.ServeConn(context.WithoutCancel(r.Context()), conn); err != nil {
			reports <- err
		}
	})
}

// ServeConn returns what goes wrong, of one type for each kind, and Logger hears of the same;
// neither of what goes well.
func TestServeConnTellsWhatGoesWrong(t *testing.T) {
	reports := make(chan error, 10)
	broken := errors.New("broken")
	var log notebook
	cfg := hosting(bob, alice)
	cfg.Logger = log.logger()
	srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
		switch message, _ := s.Receive(ctx); string(message) {
		case "panic":
			panic("oops")
		case "fail":
			return broken
		}
		return nil
	})
	url := listen(t, reporting(srv, reports))
	for _, message := range []string{"end well", "fail", "panic"} {
		c := mustDial(t, url)
		mustSend(t, c, message)
		c.Receive(t.Context())
		switch message {
		case "fail":
			if err := <-reports; err != broken {
				t.Errorf("reported %v", err)
			}
		case "panic":
			var p *e2e.PanicError
			if err := <-reports; !errors.As(err, &p) {
				t.Errorf("reported %v", err)
			}
		}
	}
	_, err := e2e.Dial(t.Context(), url, trusting(mallory, bob))
	wantHandshake(t, err, e2e.ReasonRefused)
	wantHandshake(t, <-reports, e2e.ReasonUntrusted)
	if len(reports) != 0 {
		t.Errorf("also reported: %v", <-reports)
	}
	text := log.text()
	for _, once := range []string{`level=WARN msg="the function of a session failed"`, `level=ERROR msg="the function of a session panicked"`, `level=WARN msg="handshake failed" remote=127.0.0.1 reason=untrusted`} {
		if strings.Count(text, once) != 1 {
			t.Errorf("%s is logged %d times", once, strings.Count(text, once))
		}
	}
	if n := strings.Count(text, "level=WARN") + strings.Count(text, "level=ERROR"); n != 3 {
		t.Errorf("%d lines say that something went wrong:\n%s", n, text)
	}
}

// Errors that a user meets first say what to do.
func TestDialErrorsAreReadable(t *testing.T) {
	url := listen(t, newServer(t, hosting(bob, alice), echo))
	wrong := trusting(alice, bob)
	wrong.Protocol = "other/1"
	for name, test := range map[string]struct {
		url  string
		cfg  e2e.Config
		want string
	}{
		"nobody listens":  {"ws://127.0.0.1:1/", trusting(alice, bob), "is the server running"},
		"no URL":          {"127.0.0.1:1", trusting(alice, bob), "URL"},
		"wrong server":    {url, trusting(alice, mallory), "compare its fingerprint"},
		"unknown client":  {url, trusting(mallory, bob), "ask its operator to admit"},
		"wrong protocol":  {url, wrong, `the other end speaks "test/1", this end "other/1"`},
		"nothing trusted": {url, e2e.Config{Identity: alice, Protocol: "x"}, "trust.Pinned"},
	} {
		_, err := e2e.Dial(t.Context(), test.url, test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Known peers are kept by what was dialled, in one spelling.
func TestDialAddress(t *testing.T) {
	verifier := &asked{}
	cfg := trusting(alice)
	cfg.Verifier = verifier
	url := listen(t, newServer(t, hosting(bob, alice), echo))
	host := strings.TrimPrefix(url, "ws://")
	for path, want := range map[string]string{
		"": host, "/": host, "/echo": host + "/echo", "/echo/?token=secret": host + "/echo", "/a%20b": host + "/a%20b",
	} {
		verifier.wants = nil
		c, err := e2e.Dial(t.Context(), url+path, cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := verifier.wants[0]; got.Address != want || got.Role != trust.RoleServer {
			t.Errorf("%q: the verifier was asked about %+v", path, got)
		}
	}
}

// BenchmarkEcho is a round trip over a loopback socket, message for message in turn
// with two others: the bare transport, with buffers reused, and coder/websocket as
// most programs use it. Its metrics are their times and the ratios.
func BenchmarkEcho(b *testing.B) {
	ctx := context.Background()
	bareServer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development})
		for buf := []byte(nil); err == nil; {
			if buf, err = conn.Read(ctx, buf[:0]); err == nil {
				err = conn.Write(ctx, buf)
			}
		}
	})
	plainServer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err == nil {
			conn.SetReadLimit(1 << 20)
		}
		for err == nil {
			var message []byte
			if _, message, err = conn.Read(ctx); err == nil {
				err = conn.Write(ctx, websocket.MessageBinary, message)
			}
		}
	})
	srv := newServer(b, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) (err error) {
		for buf := []byte(nil); err == nil; {
			if buf, err = s.AppendReceive(ctx, buf[:0]); err == nil {
				err = s.Send(ctx, buf)
			}
		}
		return err
	})
	session := mustDial(b, listen(b, srv))
	bare, err := transport.Dial(ctx, listen(b, bareServer), &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close(transport.CodeNormal, "")
	plain, _, err := websocket.Dial(ctx, listen(b, plainServer), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.CloseNow()
	plain.SetReadLimit(1 << 20)

	for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			message, buf := make([]byte, size), make([]byte, 0, 2*size)
			ways := []func() error{
				func() (err error) {
					if err = session.Send(ctx, message); err == nil {
						buf, err = session.AppendReceive(ctx, buf[:0])
					}
					return err
				},
				func() (err error) {
					if err = bare.Write(ctx, message); err == nil {
						buf, err = bare.Read(ctx, buf[:0])
					}
					return err
				},
				func() (err error) {
					if err = plain.Write(ctx, websocket.MessageBinary, message); err == nil {
						_, _, err = plain.Read(ctx)
					}
					return err
				},
			}
			var times [3]time.Duration
			for b.Loop() {
				for i, way := range ways {
					start := time.Now()
					if err := way(); err != nil {
						b.Fatal(err)
					}
					times[i] += time.Since(start)
				}
			}
			b.ReportMetric(float64(times[0].Microseconds())/float64(b.N), "us/session")
			b.ReportMetric(float64(times[1])/float64(times[0]), "x-bare-rate")
			b.ReportMetric(float64(times[2])/float64(times[0]), "x-plain-rate")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// A logWriter is where the log goes for a test.
type logWriter chan string

func (w logWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// Requests that come to nothing, and a writer that a server cannot take over, are logged where a
// program has set nothing.
func TestRefusedRequestsAreLoggedByDefault(t *testing.T) {
	n := logs(t)
	srv := newServer(t, talkative(hosting(bob, alice)), echo)
	srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if got := n.text(); strings.Count(got, `level=WARN msg="handshake failed" reason=upgrade error="e2e: handshake failed: transport: accept: the request is no WebSocket handshake`) != 1 {
		t.Errorf("logged\n%s", got)
	}
	n = logs(t)
	srv = newServer(t, talkative(hosting(bob, alice)), echo)
	r := httptest.NewRequest("GET", "/", nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		r.Header.Set(name, value)
	}
	srv.ServeHTTP(httptest.NewRecorder(), r)
	if got := n.text(); strings.Count(got, `level=WARN msg="handshake failed" reason=upgrade`) != 1 || !strings.Contains(got, "ResponseWriter") {
		t.Errorf("logged\n%s", got)
	}
}

// Applications quote their clients in errors and panics, and the log has them.
func TestA47TheLogShowsClientsEscaped(t *testing.T) {
	logged := make(logWriter, 16)
	log.SetOutput(logged)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	const forged = "\x1b[2J\nroot logged in"
	for name, fail := range map[string]func(string) error{
		"an error": func(m string) error { return errors.New("bad message: " + m) },
		"a panic":  func(m string) error { panic("bad message: " + m) },
	} {
		cfg := hosting(bob, alice)
		cfg.Logger = nil
		url := listen(t, newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			m, err := s.Receive(ctx)
			if err != nil {
				return err
			}
			return fail(string(m))
		}))
		mustSend(t, mustDial(t, url), forged)
		for line := range logged {
			if !strings.Contains(line, "bad message") { // a warning about ws://
				continue
			}
			if !strings.Contains(line, `bad message: \\x1b[2J\\nroot`) || strings.Contains(line, forged) {
				t.Errorf("%s: the log shows %q", name, line)
			}
			break
		}
	}
}

// A web page whose own name leads to this machine is no page of this server's.
func TestA43AServerOnLoopbackTakesNoForeignName(t *testing.T) {
	for _, c := range []struct {
		hosts   []string
		dialled string
		status  int
	}{
		{nil, "evil.example", 421},
		{nil, "localhost", 101},
		{[]string{"app.example.com"}, "app.example.com", 101},
		{[]string{"app.example.com"}, "localhost", 421},
	} {
		cfg := hosting(bob, alice)
		cfg.Accept = &transport.AcceptOptions{Hosts: c.hosts}
		srv, err := e2e.NewServer(cfg, func(context.Context, *e2e.Session) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		web := httptest.NewServer(srv)
		r, err := http.NewRequestWithContext(t.Context(), "GET", web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.dialled
		r.Header = http.Header{"Origin": {"http://" + c.dialled}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%v, a page of %s: %s, want %d", c.hosts, c.dialled, resp.Status, c.status)
		}
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		web.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
