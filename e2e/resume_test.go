package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A road leads clients to a server over pipes, one after the other.
type road struct {
	mu     sync.Mutex
	srv    *e2e.Server // who answers now
	closed bool        // nobody does
	faults []transport.PipeOption
	each   func() []transport.PipeOption // nil, or the faults of one pipe
	pipes  []*transport.PipeConn         // the clients' ends

	atClient, atServer func(transport.Conn) transport.Conn // nil, or what stands before an end
}

func (r *road) dial(context.Context) (transport.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("the road is closed")
	}
	faults := r.faults
	if r.each != nil {
		faults = r.each()
	}
	a, b := transport.Pipe(faults...)
	r.pipes = append(r.pipes, a)
	srv := r.srv
	var client, server transport.Conn = a, b
	if r.atClient != nil {
		client = r.atClient(a)
	}
	if r.atServer != nil {
		server = r.atServer(b)
	}
	go srv.ServeConn(context.Background(), server)
	return client, nil
}

func (r *road) set(change func(r *road)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *road) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pipes {
		p.Cut()
	}
}

func (r *road) links() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pipes)
}

func (r *road) client(t testing.TB, cfg e2e.Config) *e2e.Session {
	t.Helper()
	c, err := e2e.DialFunc(t.Context(), "road", cfg, r.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// gapOf checks that a session ended so, and returns what is not known to have arrived.
func gapOf(t testing.TB, s *e2e.Session, want error) *e2e.GapError {
	t.Helper()
	_, err := s.Receive(context.Background())
	return gapIn(t, err, want)
}

func gapIn(t testing.TB, err, want error) *e2e.GapError {
	t.Helper()
	var gap *e2e.GapError
	if !errors.Is(err, want) || !errors.As(err, &gap) || gap.Count != len(gap.Messages()) {
		t.Fatalf("ended with %v, gap %v, want %v and a gap", err, gap, want)
	}
	return gap
}

func wantGap(t testing.TB, gap *e2e.GapError, first uint64, messages ...string) {
	t.Helper()
	var all []string
	for i, m := range gap.Messages() {
		if all = append(all, string(m.Data)); m.ID != first+uint64(i) {
			t.Errorf("message %d has the number %d", first+uint64(i), m.ID)
		}
	}
	if got := fmt.Sprintf("%q", all); gap.First != first || got != fmt.Sprintf("%q", messages) {
		t.Errorf("not known to have arrived: from %d on %s, want from %d on %q", gap.First, got, first, messages)
	}
}

// A session goes on over a new link, with the same function, and both ends are told.
func TestResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []e2e.State
		runs := 0
		srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			mu.Lock()
			runs++
			mu.Unlock()
			return echo(ctx, s)
		})
		r := &road{srv: srv}
		cfg := trusting(alice, bob)
		cfg.Notify = func(e e2e.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e.State)
		}
		c := r.client(t, cfg)
		for _, message := range messages(5) {
			mustSend(t, c, message)
			mustReceive(t, c, message)
			r.cut()
		}
		mustSend(t, c, "after")
		mustReceive(t, c, "after")
		c.Close()
		synctest.Wait()
		want := "[connecting handshaking secure" + strings.Repeat(" reconnecting handshaking secure", 5) + " closed]"
		if got := fmt.Sprint(told); runs != 1 || r.links() != 6 || got != want {
			t.Errorf("the function ran %d times, over %d links; told %s, want %s", runs, r.links(), got, want)
		}
	})
}

// What was under way when the link was cut, both ways, arrives on the next one, before
// what is new.
func TestResumeSendsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sessions := make(chan *e2e.Session, 1)
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			sessions <- s
			<-ctx.Done()
			return nil
		})}
		c := r.client(t, trusting(alice, bob))
		s := <-sessions
		for _, message := range messages(10) {
			mustSend(t, c, message)
			mustSend(t, s, message)
		}
		r.cut() // all is lost that is in the pipe
		mustSend(t, c, "new")
		mustSend(t, s, "new")
		for _, message := range append(messages(10), "new") {
			mustReceive(t, c, message)
			mustReceive(t, s, message)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// A server that was restarted does not know the session. Both of its ends learn
// exactly what is not known to have arrived; a new session is the application's to
// make.
func TestRestartGivesTheGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ends := make(chan error, 1)
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			for range 3 {
				if _, err := s.Receive(ctx); err != nil {
					t.Error(err)
				}
			}
			s.Send(ctx, []byte("one of the server's"))
			s.Flush(ctx)
			s.Send(ctx, []byte("another"))
			_, err := s.Receive(ctx)
			ends <- err
			return err
		})}
		c := r.client(t, trusting(alice, bob))
		for _, message := range messages(3) {
			mustSend(t, c, message)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustReceive(t, c, "one of the server's")
		time.Sleep(10 * time.Millisecond) // less than an ack waits for more
		mustReceive(t, c, "another")
		r.set(func(r *road) { r.closed = true })
		r.cut()
		time.Sleep(time.Second)
		old := r.srv
		r.set(func(r *road) {
			r.srv, r.closed = newServer(t, hosting(bob, alice), echo), false
		})
		gap := gapOf(t, c, e2e.ErrTruncated)
		wantGap(t, gap, 4)
		_, err := c.Receive(t.Context())
		if failed := new(e2e.HandshakeError); !errors.As(err, &failed) || failed.Reason != e2e.ReasonUnknownSession {
			t.Errorf("the cause is %v", err)
		}
		if err := old.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wantGap(t, gapIn(t, <-ends, net.ErrClosed), 2, "another")
		fresh := r.client(t, trusting(alice, bob))
		mustSend(t, fresh, "a new session")
		mustReceive(t, fresh, "a new session")
		fresh.Close()
	})
}

// What could not be sent again is in the gap, whether it was on its way or not, and
// nowhere in what is printed.
func TestGapNamesWhatWasSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var lose sync.Mutex
		losing := false
		hole := func(m []byte) [][]byte {
			lose.Lock()
			defer lose.Unlock()
			if losing {
				return nil
			}
			return [][]byte{m}
		}
		r := &road{srv: newServer(t, hosting(bob, alice), echo), faults: []transport.PipeOption{transport.WithFaults(hole, nil)}}
		cfg := trusting(alice, bob)
		cfg.Retry.MaxTries = 3
		c := r.client(t, cfg)
		mustSend(t, c, "arrives")
		mustReceive(t, c, "arrives")
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		lose.Lock()
		losing = true
		lose.Unlock()
		mustSend(t, c, "marker one")
		mustSend(t, c, "marker two")
		r.set(func(r *road) { r.closed = true })
		r.cut()
		gap := gapOf(t, c, e2e.ErrTruncated)
		wantGap(t, gap, 2, "marker one", "marker two")
		_, err := c.Receive(t.Context())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if s := fmt.Sprintf(verb, gap) + fmt.Sprintf(verb, err); strings.Contains(s, "marker") || strings.Contains(s, "6d61726b6572") {
				t.Errorf("%s shows a message: %s", verb, s)
			}
		}
	})
}

// A server parks sessions up to its limits: of an identity, of all, of time.
func TestParkLimits(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(cfg *e2e.ServerConfig)
		clients int
		left    int // how many come back after a minute
		err     error
	}{
		"all":        {func(cfg *e2e.ServerConfig) { cfg.MaxParked, cfg.MaxSessionsPerIdentity = 2, 10_000 }, 4, 2, e2e.ErrCrowded},
		"identity":   {func(cfg *e2e.ServerConfig) { cfg.MaxParked, cfg.MaxSessions, cfg.MaxSessionsPerIdentity = 30, 100, 10 }, 4, 3, e2e.ErrCrowded},
		"time":       {func(cfg *e2e.ServerConfig) { cfg.ParkTimeout = 30 * time.Second }, 2, 0, e2e.ErrExpired},
		"idle":       {func(cfg *e2e.ServerConfig) { cfg.IdleTimeout = 30 * time.Second }, 2, 0, e2e.ErrExpired},
		"age":        {func(cfg *e2e.ServerConfig) { cfg.MaxAge = 30 * time.Second }, 2, 0, e2e.ErrExpired},
		"no parking": {func(cfg *e2e.ServerConfig) { cfg.MaxParked = -1 }, 2, 0, e2e.ErrTruncated},
		"none":       {func(*e2e.ServerConfig) {}, 4, 4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := hosting(bob, alice)
				test.change(&cfg)
				ends := make(chan error, test.clients)
				r := &road{srv: newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
					err := echo(ctx, s)
					ends <- err
					return err
				})}
				var clients []*e2e.Session
				for range test.clients {
					c := r.client(t, trusting(alice, bob))
					mustSend(t, c, "hello")
					mustReceive(t, c, "hello")
					clients = append(clients, c)
				}
				r.set(func(r *road) { r.closed = true })
				r.cut()
				time.Sleep(time.Minute)
				r.set(func(r *road) { r.closed = false })
				for range test.clients - test.left {
					gapIn(t, <-ends, test.err)
				}
				left := 0
				for _, c := range clients {
					c.Send(t.Context(), []byte("back"))
					_, err := c.Receive(t.Context())
					if err == nil {
						left++
					} else {
						gapIn(t, err, e2e.ErrTruncated)
					}
				}
				if left != test.left {
					t.Errorf("%d sessions came back, want %d", left, test.left)
				}
				for _, c := range clients {
					c.Close()
				}
			})
		})
	}
}

// A session that is too old, or has had no message for too long, ends at both ends
// though its link is well, with a reason. What keeps a link alive is no activity.
func TestExpiryOfLinkedSessions(t *testing.T) {
	for name, change := range map[string]func(cfg *e2e.ServerConfig){
		"idle": func(cfg *e2e.ServerConfig) { cfg.IdleTimeout = 10 * time.Minute },
		"age":  func(cfg *e2e.ServerConfig) { cfg.MaxAge = 15 * time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := hosting(bob, alice)
				change(&cfg)
				ends := make(chan error, 1)
				r := &road{srv: newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
					err := echo(ctx, s)
					ends <- err
					return err
				})}
				c := r.client(t, trusting(alice, bob))
				start := time.Now()
				time.Sleep(5 * time.Minute)
				mustSend(t, c, "hello")
				mustReceive(t, c, "hello")
				wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeExpired}, false)
				if took := time.Since(start).Round(time.Second); took != 15*time.Minute {
					t.Errorf("ended after %v", took)
				}
				gapIn(t, <-ends, e2e.ErrExpired)
			})
		})
	}
}

// A50: who is not trusted any more does not come back, and both ends are told.
func TestA50ResumeAsksTheVerifierAgain(t *testing.T) {
	for _, role := range []string{"client", "server"} {
		t.Run(role+" revoked", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				revoked := ""
				verifier := func(peer string, pin keys.Fingerprint) trust.Verifier {
					return &asked{answer: func(ctx context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						if revoked == peer {
							return &trust.Error{}
						}
						return nil
					}}
				}
				scfg, ccfg := hosting(bob, alice), trusting(alice, bob)
				scfg.Verifier = verifier("client", alice.Fingerprint())
				ccfg.Verifier = verifier("server", bob.Fingerprint())
				ends := make(chan error, 1)
				r := &road{srv: newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
					err := echo(ctx, s)
					ends <- err
					return err
				})}
				c := r.client(t, ccfg)
				mustSend(t, c, "hello")
				mustReceive(t, c, "hello")
				mu.Lock()
				revoked = role
				mu.Unlock()
				r.cut()
				gapOf(t, c, e2e.ErrTruncated)
				if role == "client" {
					gapIn(t, <-ends, e2e.ErrUntrusted)
				} else { // the server knows only that nobody comes back
					gapIn(t, <-ends, e2e.ErrExpired)
				}
			})
		})
	}
}

// A Send or Receive whose context ends costs the link at most, never a message.
func TestContextsCostNoMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		c := r.client(t, trusting(alice, bob))
		for range 5 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if _, err := c.Receive(ctx); err != context.DeadlineExceeded {
				t.Fatalf("Receive: %v", err)
			}
			cancel()
			mustSend(t, c, "still there")
			mustReceive(t, c, "still there")
		}
		c.Close()
	})
}

// Close and Shutdown work while there is no link.
func TestCloseWithoutALink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ends := make(chan error, 1)
		srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			err := echo(ctx, s)
			ends <- err
			return err
		})
		r := &road{srv: srv}
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		r.set(func(r *road) { r.closed = true })
		r.cut()
		time.Sleep(time.Second) // until it is noticed
		waiting := make(chan error, 1)
		go func() { waiting <- c.Send(context.Background(), []byte("waits")) }()
		time.Sleep(time.Minute)
		if err := c.Close(); err == nil {
			t.Error("the other end was told, over nothing")
		}
		if err := <-waiting; errors.Is(err, io.EOF) || err == nil {
			t.Errorf("Send: %v", err)
		}
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		<-ends
	})
}

// A first message of a resume that was changed on the way is refused like that of a
// session which is not known. It costs an attempt, not the session.
func TestChangedResumeCostsAnAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		flip := numbered(1, func(m []byte) [][]byte { m[len(m)/2] ^= 1; return [][]byte{m} }) // on the next link only
		r.set(func(r *road) { r.faults = []transport.PipeOption{transport.WithFaults(flip, nil)} })
		r.cut()
		mustSend(t, c, "still there")
		mustReceive(t, c, "still there")
		if r.links() != 3 {
			t.Errorf("%d links", r.links())
		}
		c.Close()
	})
}

// A34: while there is no link nobody is blamed for taking nothing.
func TestPatienceIsForPeersThatAreThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sessions := make(chan *e2e.Session, 1)
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			sessions <- s
			<-ctx.Done()
			return nil
		})}
		c := r.client(t, trusting(alice, bob))
		s := <-sessions
		message := make([]byte, 10_000)
		sent := make(chan error)
		go func() { // until there is no credit, and then until there is no link
			for range 200 {
				if err := s.Send(context.Background(), message); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		time.Sleep(e2e.DefaultSendTimeout / 2)
		r.set(func(r *road) { r.closed = true })
		r.cut()
		time.Sleep(2 * e2e.DefaultSendTimeout)
		r.set(func(r *road) { r.closed = false })
		for range 200 {
			if _, err := c.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// A34: a link on which only one direction has a hole is given up, not the session: the
// other end cannot make room for what it does not get.
func TestHoleInOneDirectionCostsTheLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			for {
				message, err := s.Receive(ctx)
				if err != nil {
					return err
				}
				if err := s.Send(ctx, message[:1]); err != nil {
					return err
				}
			}
		})}
		passed := 0
		hole := func(m []byte) [][]byte { // behind m1, m3 and one message
			if passed++; passed > 3 {
				return nil
			}
			return [][]byte{m}
		}
		r.faults = []transport.PipeOption{transport.WithFaults(hole, nil)}
		cfg := trusting(alice, bob)
		cfg.KeepAlive = -1
		cfg.Window = 64 << 10
		c := r.client(t, cfg)
		r.set(func(r *road) { r.faults = nil })
		for range 5 {
			mustSend(t, c, strings.Repeat("into the hole", 4000))
		}
		for range 5 {
			mustReceive(t, c, "i")
		}
		if r.links() != 2 {
			t.Errorf("%d links", r.links())
		}
		c.Close()
	})
}

// halfOpen is a connection of a server that does not learn that the other end has
// gone: what it writes goes nowhere, and nothing comes.
type halfOpen struct {
	transport.Conn
	closed chan struct{}
	once   sync.Once
}

func (h *halfOpen) Read(ctx context.Context, dst []byte) ([]byte, error) {
	out, err := h.Conn.Read(ctx, dst)
	if err != nil {
		select {
		case <-h.closed:
		case <-ctx.Done():
		}
	}
	return out, err
}

func (h *halfOpen) Write(ctx context.Context, msg []byte) error {
	h.Conn.Write(ctx, msg)
	return nil
}

func (h *halfOpen) Close(code transport.Code, reason string) error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close(code, reason)
}

// A client comes back before its server has noticed that it had gone. The old link is
// retired; what the server had written to it is sent again.
func TestResumeRetiresAHalfOpenLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := hosting(bob, alice)
		cfg.KeepAlive = -1
		sessions := make(chan *e2e.Session, 1)
		srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			sessions <- s
			return echo(ctx, s)
		})
		var mu sync.Mutex
		var ends []*transport.PipeConn
		open := 0
		c, err := e2e.DialFunc(t.Context(), "road", trusting(alice, bob), func(context.Context) (transport.Conn, error) {
			a, b := transport.Pipe()
			mu.Lock()
			defer mu.Unlock()
			ends = append(ends, a)
			open++
			go func() {
				srv.ServeConn(context.Background(), &halfOpen{Conn: b, closed: make(chan struct{})})
				mu.Lock()
				defer mu.Unlock()
				open--
			}()
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s := <-sessions
		for i := range 5 {
			mustSend(t, c, fmt.Sprint(i))
			mustReceive(t, c, fmt.Sprint(i))
			mu.Lock()
			ends[len(ends)-1].Cut()
			mu.Unlock()
			mustSend(t, s, "into the void")
			mustReceive(t, c, "into the void")
		}
		synctest.Wait()
		mu.Lock()
		if len(ends) != 6 || open != 2 { // that of the function, and of the last link
			t.Errorf("%d links, %d are served", len(ends), open)
		}
		mu.Unlock()
		c.Close()
	})
}

// A session that has come back does not wait any more: it counts for none of the limits
// of those that do.
func TestSessionThatCameBackIsNotParked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := hosting(bob, alice)
		cfg.MaxParked = 10 // one of an identity
		r := &road{srv: newServer(t, cfg, echo)}
		var clients []*e2e.Session
		for range 2 { // one after the other
			c := r.client(t, trusting(alice, bob))
			go c.Receive(context.Background()) // which notices at once
			time.Sleep(time.Second)
			r.set(func(r *road) { r.pipes[len(r.pipes)-1].Cut() })
			time.Sleep(time.Minute)
			clients = append(clients, c)
		}
		time.Sleep(2 * e2e.DefaultParkTimeout)
		for _, c := range clients {
			mustSend(t, c, "for the one who waits")
			mustSend(t, c, "still there")
			mustReceive(t, c, "still there")
			c.Close()
		}
	})
}

// What makes no sense is refused before anything is dialled.
func TestConfigOfResume(t *testing.T) {
	for _, change := range []func(cfg *e2e.ServerConfig){
		func(cfg *e2e.ServerConfig) { cfg.MaxAge = -1 },
		func(cfg *e2e.ServerConfig) { cfg.MaxAge = 25 * time.Hour },
		func(cfg *e2e.ServerConfig) { cfg.IdleTimeout = -1 },
		func(cfg *e2e.ServerConfig) { cfg.ParkTimeout = -1 },
		func(cfg *e2e.ServerConfig) { cfg.MaxSessionsPerIdentity = -1 },
	} {
		cfg := hosting(alice, bob)
		change(&cfg)
		if _, err := e2e.NewServer(cfg, echo); err == nil {
			t.Errorf("accepted: %+v", cfg)
		}
	}
}
