package e2e_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A stingy server lets its client in for a moment at a time, and takes whatever it shows then.
type stingy struct {
	transport.Conn
	lifetime time.Duration
}

// serve returns when the connection is over.
func (s stingy) serve(t testing.TB) {
	ctx := context.Background()
	h, err := engine.NewServer(engine.Config{Identity: bob.Public(), Protocol: "test/1", KeepAlive: -1}, time.Now())
	if err != nil {
		t.Error(err)
		return
	}
	step, err := h.Start(time.Now())
	for err == nil {
		if step.Frame != nil && s.Write(ctx, step.Frame) != nil {
			return
		}
		switch step.Next {
		case engine.Read:
			var frame []byte
			if frame, err = s.Read(ctx, nil); err == nil {
				step, err = h.Receive(time.Now(), frame)
			}
		case engine.Sign:
			var signature []byte
			if signature, err = bob.Signer().Sign(h.ToSign()); err == nil {
				step, err = h.Signed(time.Now(), signature)
			}
		case engine.Done:
			s.renew(ctx, h.Session().Link())
			return
		default:
			h.Grant(s.lifetime)
			step, err = h.Accept(time.Now())
		}
	}
	t.Error(err)
}

func (s stingy) renew(ctx context.Context, link *engine.Link) {
	for {
		frame, err := s.Read(ctx, nil)
		if err != nil {
			return
		}
		_, event, err := link.Open(time.Now(), nil, frame)
		if err != nil {
			return
		}
		if event == engine.Updated {
			link.Offer()
			link.Decided(true, s.lifetime)
		}
		for frame, err := link.Control(time.Now(), nil); err == nil && len(frame) > 0; frame, err = link.Control(time.Now(), nil) {
			if s.Write(ctx, frame) != nil {
				return
			}
		}
	}
}

// fetching is a client's Config that counts how often it is asked for credentials.
func fetching() (e2e.Config, *atomic.Int32) {
	fetched := new(atomic.Int32)
	cfg := trusting(alice, bob)
	cfg.Credentials = func(context.Context) ([]byte, error) {
		fetched.Add(1)
		return []byte("token"), nil
	}
	return cfg, fetched
}

// However short a time a server grants, a client asks for credentials once a second at most.
// What is granted for less than that expires.
func TestServerCannotHaveCredentialsFetchedInALoop(t *testing.T) {
	for lifetime, lasts := range map[time.Duration]bool{2 * time.Millisecond: false, 100 * time.Millisecond: false, 1050 * time.Millisecond: true, time.Minute: true} {
		bubble(t, func(t *testing.T) {
			cfg, fetched := fetching()
			a, b := transport.Pipe()
			go stingy{b, lifetime}.serve(t)
			c, err := e2e.Connect(t.Context(), a, "pipe", cfg)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20*time.Second + time.Millisecond)
			if n := fetched.Load(); n > 21 {
				t.Errorf("granted %v at a time: credentials were fetched %d times in 20 s", lifetime, n)
			}
			select {
			case <-c.Done():
				if lasts {
					t.Errorf("granted %v at a time: %v", lifetime, c.Send(t.Context(), nil))
				}
			default:
				if !lasts {
					t.Errorf("granted %v at a time, and it lasts", lifetime)
				}
			}
			c.Close()
		})
	}
}

// A hop that cuts each connection as soon as it is there has credentials fetched once a second in
// the long run, and a few times at once.
func TestCutsDoNotHaveCredentialsFetchedInALoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, hosting(bob, alice), echo)
		cfg, fetched := fetching()
		cfg.Retry = redial.Policy{Base: time.Millisecond, Cap: 5 * time.Millisecond}
		c, err := e2e.DialFunc(t.Context(), "pipe", cfg, func(context.Context) (transport.Conn, error) {
			a, b := transport.Pipe()
			serve(srv, b)
			time.AfterFunc(10*time.Millisecond, a.Cut)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		if n := fetched.Load(); n < 5 {
			t.Errorf("back %d times at first, want that a few follow at once", n)
		}
		time.Sleep(time.Minute)
		if n := fetched.Load(); n > 60+10 || n < 50 {
			t.Errorf("credentials were fetched %d times in a minute", n)
		}
		mustSend(t, c, "still there")
		mustReceive(t, c, "still there")
		c.Close()
	})
}

// While an update is not answered nothing is fetched that could not be shown.
func TestUnansweredUpdateHasNothingFetched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg, fetched := fetching()
		carol := newIdentity("carol")
		cfg.Identity = carol
		a, b := transport.Pipe()
		silent := make(chan struct{})
		served := hosting(bob, carol)
		served.Verifier = &firstOnly{}
		go func() {
			defer close(silent)
			s, err := e2e.Accept(context.Background(), b, served)
			if err == nil {
				echo(context.Background(), s)
			}
		}()
		c, err := e2e.Connect(t.Context(), a, "pipe", cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			if err := carol.Renew(); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				mustSend(t, c, "hello")
				mustReceive(t, c, "hello")
			}
			time.Sleep(1100 * time.Millisecond)
		}
		if n := fetched.Load(); n != 2 {
			t.Errorf("credentials were fetched %d times, want once more than for the connection", n)
		}
		c.Close()
		<-silent
	})
}

// firstOnly is a Verifier that accepts whom it is asked about first, and has no answer later.
type firstOnly struct{ asked atomic.Bool }

func (v *firstOnly) Verify(ctx context.Context, _ trust.Expected, _ *keys.PublicIdentity) error {
	if v.asked.Swap(true) {
		<-ctx.Done()
	}
	return ctx.Err()
}
