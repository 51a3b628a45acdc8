package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

// A staller sends a first frame that somebody honest has made, and nothing more.
type staller struct {
	srv   *e2e.Server
	first []byte
	tries *atomic.Int64
}

// stall comes again and again, and stays for as long as it may.
func (s *staller) stall(ctx context.Context, address string) {
	for ctx.Err() == nil {
		s.tries.Add(1)
		a, b := transport.Pipe()
		done := serve(s.srv, from{b, address})
		if a.Write(ctx, s.first) == nil {
			if _, err := a.Read(ctx, nil); err == nil { // the answer
				a.Read(ctx, nil)
			}
		}
		a.Close(transport.CodeNormal, "")
		<-done
		select {
		case <-time.After(100 * time.Millisecond): // whatever it was told
		case <-ctx.Done():
		}
	}
}

// firstOf returns the first frame of a dial with a config.
func firstOf(t *testing.T, cfg e2e.Config) []byte {
	t.Helper()
	a, b := transport.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		if s, err := e2e.Connect(ctx, a, "pipe", cfg); err == nil {
			s.Close()
		}
	}()
	first, err := b.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-dialled
	return first
}

// A33: hundreds who send a first frame and nothing more, from one address or from many, keep
// neither strangers out nor clients that come back.
func TestA33StallersLockNobodyOut(t *testing.T) {
	for _, where := range []struct {
		name string
		of   func(i int) string
	}{
		{"one address", func(int) string { return "192.0.2.1:1" }},
		{"many addresses", func(i int) string { return fmt.Sprintf("198.51.%d.%d:1", i/250, i%250) }},
	} {
		t.Run(where.name, func(t *testing.T) { bubble(t, func(t *testing.T) { underStallers(t, where.of) }) })
	}
}

func underStallers(t *testing.T, of func(i int) string) {
	cfg, stallers := hosting(bob, alice), 400
	if !longTests() {
		cfg.MaxHandshakes, cfg.MaxHandshakesPerAddress, stallers = 32, 8, 50
	}
	srv := newServer(t, cfg, echo)
	s := &staller{srv: srv, first: firstOf(t, trusting(alice, bob)), tries: new(atomic.Int64)}
	way := func(address string, slow time.Duration) *road {
		return &road{srv: srv, atServer: func(c transport.Conn) transport.Conn { return distant{from{c, address}, slow} }}
	}
	returning := way("192.0.2.1:1", 0)
	old := returning.client(t, trusting(alice, bob))
	ctx, cancel := context.WithCancel(t.Context())
	var stalling sync.WaitGroup
	defer stalling.Wait()
	defer cancel()
	for i := range stallers {
		stalling.Go(func() { s.stall(ctx, of(i)) })
	}
	time.Sleep(3 * time.Second)
	began := time.Now()
	returning.cut()
	mustSend(t, old, "back")
	mustReceive(t, old, "back")
	if took := time.Since(began); took > 5*time.Second { // which is one or two waits of its own
		t.Errorf("back after %v", took)
	}
	honest := []struct{ slow, most time.Duration }{{0, 45 * time.Second}}
	if longTests() {
		honest = append(honest, struct{ slow, most time.Duration }{150 * time.Millisecond, 10 * time.Minute})
	}
	for _, is := range honest {
		for _, address := range []string{"192.0.2.1:1", "203.0.113.1:1"} {
			began, tries := time.Now(), persist(t, way(address, is.slow), is.most)
			t.Logf("a stranger of %s who takes %v is in after %v, %d tries; %d by stallers", address, is.slow, time.Since(began), tries, s.tries.Load())
		}
	}
}

// persist dials as often as it takes, and when it is told, for so long at most.
func persist(t *testing.T, r *road, most time.Duration) (tries int) {
	t.Helper()
	for began := time.Now(); ; {
		tries++
		c, err := e2e.DialFunc(t.Context(), "road", trusting(alice, bob), r.dial)
		if err == nil {
			c.Close()
			return tries
		}
		if time.Since(began) > most {
			t.Fatalf("after %d tries: %v", tries, err)
		}
		time.Sleep(max(transport.RetryAfter(err), time.Second))
	}
}

// distant is a Conn of a server to a client who takes so long for each frame.
type distant struct {
	from
	takes time.Duration
}

func (s distant) Read(ctx context.Context, dst []byte) ([]byte, error) {
	frame, err := s.from.Read(ctx, dst)
	if err == nil {
		time.Sleep(s.takes)
	}
	return frame, err
}
