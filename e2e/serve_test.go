package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// serving has a Mux serve an end until the test ends.
func serving(t testing.TB, s *e2e.Session, router *mux.Mux) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		router.Serve(context.Background(), s)
	}()
	t.Cleanup(func() { s.Close(); <-done })
}

func upper(_ context.Context, r *e2e.Request) ([]byte, error) { return bytes.ToUpper(r.Data), nil }

func mustCall(t testing.TB, s *e2e.Session, typ, data, want string) {
	t.Helper()
	got, err := s.Call(t.Context(), typ, []byte(data))
	if err != nil || string(got) != want {
		t.Fatalf("Call: %.60q, %v, want %.60q", got, err, want)
	}
}

func TestCallIsAnswered(t *testing.T) {
	c, s := over(t, transport.WithMaxMessage(e2e.MaxFrame(e2e.DefaultMaxMessage)))
	router := mux.New()
	router.Handle("upper", upper)
	router.Handle("empty", func(context.Context, *e2e.Request) ([]byte, error) { return nil, nil })
	router.Handle("who", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		if mux.RequestFrom(ctx) != r || r.OneWay || r.Session != s || r.ID != 3 {
			t.Errorf("%+v", r)
		}
		return []byte(r.Session.Peer().Name()), nil
	})
	serving(t, s, router)
	mustCall(t, c, "upper", "abc", "ABC")
	mustCall(t, c, "empty", "abc", "")
	mustCall(t, c, "who", "", "alice")
	large := strings.Repeat("x", e2e.DefaultMaxMessage)
	mustCall(t, c, "upper", large, strings.ToUpper(large))
	if mux.RequestFrom(context.Background()) != nil {
		t.Error("a request out of nowhere")
	}
}

func TestReplyErrorIsBounded(t *testing.T) {
	c, s := over(t)
	texts := map[string]string{
		"short": "short", "long": strings.Repeat("x", 5000), "bad": "bad \xff", "wide": strings.Repeat("\u20ac", 400), "last": strings.Repeat("x", 1023) + "\u00e9",
	}
	router := mux.New()
	for typ, text := range texts {
		router.Handle(typ, func(context.Context, *e2e.Request) ([]byte, error) { return nil, &e2e.ReplyError{Text: text} })
	}
	serving(t, s, router)
	for typ, want := range map[string]string{
		"short": "short", "long": strings.Repeat("x", 1024), "bad": "", "wide": strings.Repeat("\u20ac", 341), "last": strings.Repeat("x", 1023),
	} {
		_, err := c.Call(t.Context(), typ, nil)
		var reply *e2e.ReplyError
		if !errors.As(err, &reply) || reply.Text != want {
			t.Errorf("%s: %.40q, %v", typ, want, err)
		}
	}
}

// One-way messages are served one by one and in order; requests pass them.
func TestMuxOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		var got []string
		router := mux.New()
		router.Handle("upper", upper)
		router.Handle("one", func(_ context.Context, r *e2e.Request) ([]byte, error) {
			time.Sleep(10 * time.Second)
			got = append(got, string(r.Data)) // unguarded: the race detector would tell
			return nil, nil
		})
		serving(t, s, router)
		for _, m := range messages(5) {
			sendTyped(t, c, "one", m)
		}
		start := time.Now()
		mustCall(t, c, "upper", "passes", "PASSES")
		if took := time.Since(start); took > time.Second {
			t.Errorf("a request waited %v behind messages", took)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(got, messages(5)) {
			t.Errorf("served %q", got)
		}
	})
}

// A34: requests are served so many at a time, so many wait, the rest is refused.
func TestA34RequestsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overAs(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.MaxCalls = 1000 })
		var running, most atomic.Int32
		router := mux.New()
		router.Concurrent = 4
		router.Handle("slow", func(context.Context, *e2e.Request) ([]byte, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			time.Sleep(time.Second)
			return nil, nil
		})
		serving(t, s, router)
		var answered, busy atomic.Int32
		var work sync.WaitGroup
		for range 50 {
			work.Go(func() {
				_, err := c.Call(context.Background(), "slow", nil)
				var refused *e2e.RefusedError
				switch {
				case err == nil:
					answered.Add(1)
				case errors.As(err, &refused) && refused.Reason == e2e.RefusedBusy:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		work.Wait()
		if answered.Load() != 8 || busy.Load() != 42 || most.Load() != 4 {
			t.Errorf("%d answered, %d refused, %d at a time", answered.Load(), busy.Load(), most.Load())
		}
	})
}

// Requests that come before anybody serves wait for whoever will.
func TestServeTakesWhatCameBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		var work sync.WaitGroup
		for range 20 {
			work.Go(func() { mustCall(t, c, "upper", "early", "EARLY") })
		}
		time.Sleep(time.Second) // the session has read them
		router := mux.New()
		router.Handle("upper", upper)
		serving(t, s, router)
		work.Wait()
	})
}

// Serve ends with its context, and waits for what it has begun; the session goes on, for
// another Serve or for Receives.
func TestServeEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		router := mux.New()
		router.Handle("waits", func(ctx context.Context, _ *e2e.Request) ([]byte, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return []byte("done"), nil
		})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- router.Serve(ctx, s) }()
		called := make(chan string)
		go func() {
			answer, err := c.Call(context.Background(), "waits", nil)
			called <- fmt.Sprint(string(answer), err)
		}()
		synctest.Wait()
		if _, err := s.Receive(t.Context()); err != flow.ErrServing {
			t.Errorf("Receive: %v", err)
		}
		if err := router.Serve(t.Context(), s); err != flow.ErrServing {
			t.Errorf("a second Serve: %v", err)
		}
		cancel()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("ended with a function under way: %v", err)
		default:
		}
		if err := <-ended; err != context.Canceled {
			t.Errorf("Serve: %v", err)
		}
		if got := <-called; got != "done<nil>" {
			t.Errorf("Call: %s", got)
		}
		mustSend(t, c, "the session goes on")
		mustReceive(t, s, "the session goes on")
		again := mux.New()
		again.Handle("upper", upper)
		go func() { ended <- again.Serve(context.Background(), s) }()
		mustCall(t, c, "upper", "again", "AGAIN")
		c.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("Serve of a session that is closed: %v", err)
		}
	})
}

// The context of a function ends in time, and with the session.
func TestFunctionsHaveDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		ends := make(chan error, 2)
		router := mux.New()
		router.Timeout = 10 * time.Second
		router.Handle("waits", func(ctx context.Context, _ *e2e.Request) ([]byte, error) {
			<-ctx.Done()
			ends <- ctx.Err()
			return nil, ctx.Err()
		})
		serving(t, s, router)
		_, err := c.Call(context.Background(), "waits", nil)
		wantRefused(t, err, 1, e2e.RefusedFailed)
		if err := <-ends; err != context.DeadlineExceeded {
			t.Error(err)
		}
		go c.Call(context.Background(), "waits", nil)
		synctest.Wait()
		c.Close()
		if err := <-ends; err != context.Canceled {
			t.Error(err)
		}
		c, s = over(t)
		serving(t, s, router)
		sendTyped(t, c, "waits", "")
		time.Sleep(time.Second)
		s.Close()
		if err := <-ends; err != context.Canceled {
			t.Errorf("of a one-way message, after Close at this end: %v", err)
		}
	})
}

// A Call that is given up costs neither the connection nor the session, and its answer
// is dropped.
func TestCallGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overAs(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.MaxCalls = 1 })
		router := mux.New()
		router.Handle("upper", upper)
		router.Handle("slow", func(context.Context, *e2e.Request) ([]byte, error) {
			time.Sleep(10 * time.Second)
			return []byte("too late"), nil
		})
		serving(t, s, router)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.Call(ctx, "slow", nil); err != context.DeadlineExceeded {
			t.Errorf("Call: %v", err)
		}
		if _, err := c.Call(ctx, "upper", nil); err != context.DeadlineExceeded {
			t.Errorf("a Call with no time left: %v", err)
		}
		mustCall(t, c, "upper", "next", "NEXT") // the place is free
		time.Sleep(time.Minute)
		mustCall(t, c, "upper", "later", "LATER")
	})
}

// A Call that is given up while the connection takes nothing costs nothing either.
func TestCallGivenUpWhileWriting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := transport.Pipe(transport.WithBuffer(1))
		stuck := &stutter{Conn: b, gate: make(chan struct{})}
		c, s := establish(t, a, stuck)
		stuck.hold.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var work sync.WaitGroup
		for range 10 {
			work.Go(func() {
				if _, err := c.Call(ctx, "upper", make([]byte, 100)); err != context.DeadlineExceeded {
					t.Errorf("Call: %v", err)
				}
			})
		}
		work.Wait()
		stuck.hold.Store(false)
		close(stuck.gate)
		router := mux.New()
		router.Handle("upper", upper)
		serving(t, s, router)
		mustCall(t, c, "upper", "goes on", "GOES ON")
	})
}

// stutter is a Conn that can be told to read nothing for a while.
type stutter struct {
	transport.Conn
	hold atomic.Bool
	gate chan struct{}
}

func (s *stutter) Read(ctx context.Context, dst []byte) ([]byte, error) {
	if s.hold.Load() {
		<-s.gate
	}
	return s.Conn.Read(ctx, dst)
}

// Calls end with their session.
func TestCallsEndWithTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		var work sync.WaitGroup
		for range 100 { // some wait for a place
			work.Go(func() {
				if _, err := c.Call(context.Background(), "never answered", nil); !errors.Is(err, io.EOF) {
					t.Errorf("Call: %v", err)
				}
			})
		}
		time.Sleep(time.Second)
		s.Close()
		work.Wait()
		if _, err := c.Call(t.Context(), "", nil); !errors.Is(err, io.EOF) {
			t.Errorf("a Call afterwards: %v", err)
		}
	})
}

// Answers find their Calls while others receive, and while nobody does.
func TestCallsBesideReceives(t *testing.T) {
	c, s := over(t)
	router := mux.New()
	router.Handle("upper", upper)
	router.Handle("", func(_ context.Context, r *e2e.Request) ([]byte, error) {
		return nil, r.Session.Send(context.Background(), r.Data)
	})
	serving(t, s, router)
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for j := range 100 {
				m := fmt.Sprint("m", i, " ", j)
				mustCall(t, c, "upper", m, strings.ToUpper(m))
			}
		})
	}
	work.Go(func() {
		for _, m := range messages(200) {
			mustSend(t, c, m)
		}
	})
	work.Go(func() {
		for i, m := range messages(200) {
			if i%50 == 0 {
				time.Sleep(time.Millisecond) // and now and then nobody receives
			}
			mustReceive(t, c, m)
		}
	})
	work.Wait()
}

// Two ends that call each other from within their functions, send messages that are
// served slowly, and do all of it at once with windows as small as they may be, get on.
func TestTwoEndsThatCallEachOtherGetOn(t *testing.T) {
	rounds := 60
	switch {
	case longTests():
		rounds = 2000
	case testing.Short():
		rounds = 15
	}
	c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) {
		for _, cfg := range []*e2e.Options{&c.Options, &s.Options} {
			cfg.Window, cfg.MaxCalls = 64<<10, 1000
		}
	}, transport.WithBuffer(1))
	var served, refused atomic.Int32
	callBack := func(ctx context.Context, s *e2e.Session, r *rand.Rand) {
		answer, err := s.Call(ctx, "leaf", make([]byte, r.IntN(40_000)))
		var busy *e2e.RefusedError
		switch {
		case errors.As(err, &busy) && busy.Reason == e2e.RefusedBusy:
			refused.Add(1)
		case err != nil || len(answer) != 30_000:
			t.Errorf("%d bytes, %v", len(answer), err)
		}
	}
	var work sync.WaitGroup
	for i, end := range []*e2e.Session{c, s} {
		router := mux.New()
		router.Concurrent = 4
		router.Handle("leaf", func(context.Context, *e2e.Request) ([]byte, error) { return make([]byte, 30_000), nil })
		router.Handle("calls back", func(ctx context.Context, q *e2e.Request) ([]byte, error) {
			callBack(ctx, q.Session, rand.New(rand.NewPCG(q.ID, 1)))
			return nil, nil
		})
		router.Handle("one-way", func(ctx context.Context, q *e2e.Request) ([]byte, error) {
			callBack(ctx, q.Session, rand.New(rand.NewPCG(q.ID, 2)))
			served.Add(1)
			return nil, nil
		})
		serving(t, end, router)
		for j := range 3 {
			work.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				for range rounds {
					if _, err := end.SendMessage(context.Background(), "one-way", make([]byte, r.IntN(60_000))); err != nil {
						t.Error(err)
					}
				}
			})
			work.Go(func() {
				for range rounds {
					_, err := end.Call(context.Background(), "calls back", nil)
					var busy *e2e.RefusedError
					if err != nil && !errors.As(err, &busy) {
						t.Error(err)
					}
				}
			})
		}
	}
	work.Wait()
	for _, end := range []*e2e.Session{c, s} { // until the last message has been served
		for int(served.Load()) < 6*rounds {
			if _, err := end.Call(context.Background(), "leaf", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d served, %d refused for being too many", served.Load(), refused.Load())
}

// A Call survives the connections that it is sent over.
func TestCallsSurviveCuts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		router := mux.New()
		seen := map[string]int{}
		var mu sync.Mutex
		router.Handle("upper", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			seen[string(r.Data)]++
			return upper(ctx, r)
		})
		srv := newServer(t, hosting(bob, alice), router.Serve)
		var last atomic.Pointer[transport.PipeConn]
		cfg := trusting(alice, bob)
		cfg.Retry = redial.Policy{Base: time.Millisecond, Cap: 20 * time.Millisecond}
		c, err := e2e.DialFunc(t.Context(), "pipe", cfg, func(context.Context) (transport.Conn, error) {
			a, b := transport.Pipe()
			last.Store(a)
			serve(srv, b)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var cutter, work sync.WaitGroup
		cutter.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(130 * time.Millisecond):
					last.Load().Cut()
				}
			}
		})
		for i := range 8 {
			work.Go(func() {
				for j := range 10 {
					m := fmt.Sprint("m", i, " ", j)
					mustCall(t, c, "upper", m, strings.ToUpper(m))
				}
			})
		}
		work.Wait()
		close(stop)
		cutter.Wait()
		c.Close()
		for m, n := range seen {
			if n != 1 {
				t.Errorf("%q was served %d times", m, n)
			}
		}
		if len(seen) != 80 {
			t.Errorf("%d requests were served", len(seen))
		}
	})
}

// A34: who asks without end and takes no answers is cut, before much is kept for it.
func TestA34AskingWithoutTakingAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := transport.Pipe(transport.WithBuffer(1))
		stuck := &stutter{Conn: a, gate: make(chan struct{})}
		var s *e2e.Session
		accepted := make(chan error, 1)
		go func() {
			cfg := hosting(bob, alice)
			cfg.Window = 64 << 10
			var err error
			s, err = e2e.Accept(context.Background(), b, cfg)
			accepted <- err
		}()
		cfg := trusting(alice, bob)
		cfg.MaxCalls = 10_000
		c, err := e2e.Connect(context.Background(), stuck, "pipe", cfg)
		if other := <-accepted; err != nil || other != nil {
			t.Fatal(err, other)
		}
		router := mux.New()
		router.Handle("upper", upper)
		ended := make(chan error, 1)
		go func() { ended <- router.Serve(context.Background(), s) }()
		stuck.hold.Store(true)
		start := time.Now()
		var work sync.WaitGroup
		for range 3000 {
			work.Go(func() { c.Call(context.Background(), "upper", []byte("x")) })
		}
		if err := <-ended; !errors.Is(err, e2e.ErrStalled) {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(start); took > e2e.DefaultSendTimeout {
			t.Errorf("cut after %v", took)
		}
		close(stuck.gate)
		c.Close()
		work.Wait()
	})
}

// What a client has sent before it closed is served, by functions whose context is good.
func TestMuxServesWhatCameBeforeTheClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var served atomic.Int32
		router := mux.New()
		router.Handle("note", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
			time.Sleep(time.Second)
			if ctx.Err() == nil {
				served.Add(1)
			}
			return nil, nil
		})
		srv := newServer(t, hosting(bob, alice), router.Serve)
		c, result := join(t, srv)
		for range 20 {
			sendTyped(t, c, "note", "")
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := <-result; err != nil || served.Load() != 20 {
			t.Errorf("%d of 20 messages served, %v", served.Load(), err)
		}
	})
}

// A Handler says why it refuses. What no message can be refused for, and what another end
// has refused, counts as failed.
func TestHandlersRefuseForAReason(t *testing.T) {
	told, heard := refusals()
	c, s := overAs(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.Refused = told })
	relayed := &e2e.RefusedError{ID: 9, Reason: e2e.RefusedUnauthorized}
	why := map[string]error{
		"type":      e2e.Refuse(e2e.RefusedType, nil),
		"value":     fmt.Errorf("wrapped: %w", e2e.Refuse(e2e.RefusedValue, errors.New("the cause"))),
		"busy":      e2e.Refuse(e2e.RefusedBusy, nil),
		"no reason": e2e.Refuse(0, errors.New("the cause")),
		"reply":     e2e.Refuse(6, nil), // says that a ReplyError follows
		"relayed":   relayed,
	}
	var mu sync.Mutex
	errs := map[string]error{}
	options := &e2e.ServeOptions{OnError: func(r *e2e.Request, err error) {
		mu.Lock()
		defer mu.Unlock()
		errs[r.Type] = err
	}}
	go s.Serve(t.Context(), func(_ context.Context, r *e2e.Request) ([]byte, error) { return nil, why[r.Type] }, options)
	for typ, want := range map[string]e2e.Refusal{
		"type": e2e.RefusedType, "value": e2e.RefusedValue, "busy": e2e.RefusedBusy,
		"no reason": e2e.RefusedFailed, "reply": e2e.RefusedFailed, "relayed": e2e.RefusedFailed,
	} {
		_, err := c.Call(t.Context(), typ, nil)
		wantRefused(t, err, 0, want)
		id := sendTyped(t, c, typ, "")
		wantRefused(t, <-heard, id, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(errs) != 5 || errs["value"].Error() != "the cause" || errs["relayed"] != relayed || errs["busy"].Error() != "e2e: refused: it is busy: try again later" {
		t.Errorf("OnError was told %v", errs)
	}
}

// What was received may be refused afterwards.
func TestReceivedMessagesMayBeRefused(t *testing.T) {
	told, heard := refusals()
	c, s := overAs(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.Refused = told })
	for why, want := range map[e2e.Refusal]e2e.Refusal{e2e.RefusedUnauthorized: e2e.RefusedUnauthorized, 0: e2e.RefusedFailed, 6: e2e.RefusedFailed} {
		id := sendTyped(t, c, "order", "pears")
		m, err := s.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Refuse(m, why); err != nil {
			t.Error(err)
		}
		wantRefused(t, <-heard, id, want)
	}
	mustSend(t, c, "goes on")
	mustReceive(t, s, "goes on")
}

// A receive that fails returns the zero Message, and nobody refuses that, nor a message that has not
// come: the refusal of a message that was never sent ends the session.
func TestRefuseOfNoMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		if err := s.Refuse(e2e.Message{}, e2e.RefusedFailed); err != nil {
			t.Error(err)
		}
		mustSend(t, c, "the first")
		m, err := s.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []uint64{m.ID + 1, math.MaxUint64} {
			if err := s.Refuse(e2e.Message{ID: id}, e2e.RefusedFailed); err == nil {
				t.Errorf("message %d, which has not come, was refused", id)
			}
		}
		synctest.Wait()
		mustSend(t, s, "goes on")
		mustReceive(t, c, "goes on")
		if n := s.Stats().MessagesRefused; n != 0 {
			t.Errorf("%d messages are refused", n)
		}
	})
}

// Without a Handler every message would be refused, and nobody would know why.
func TestServeNeedsAHandler(t *testing.T) {
	c, _ := over(t)
	if err := c.Serve(t.Context(), nil, nil); err == nil || err == flow.ErrServing {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.ReceiveMessage(ended()); !errors.Is(err, context.Canceled) {
		t.Errorf("the session is not as it was: %v", err)
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
