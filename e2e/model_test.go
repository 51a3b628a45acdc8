package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/explore"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport"
)

// The model: two ends that send, flush, receive, are slow and give up waiting, each as
// its plan says, over links that a third plan cuts, damages and withholds. Whatever the
// plans are, each end receives exactly what the other has sent, and once nothing
// disturbs the link any more all of it. Time is virtual.

// A turn is what an end does next.
type turn struct {
	what string // "send", "flush", "wait"
	size int
	wait time.Duration
}

// A reading is how an end receives next.
type reading struct {
	patience time.Duration // 0: any; after it the end asks again
	rest     time.Duration // before the next one
}

// A trouble befalls the link.
type trouble struct {
	after  time.Duration // the one before
	what   string        // "cut", "closed", or a fault of the next link
	client bool          // the direction of a fault: from the client
	nth    int           // the first message that it is for
	seed   uint64
}

type plan struct {
	turns    [2][]turn
	readings [2][]reading
	troubles []trouble
}

func draw[V any](n int, one func(rt *explore.T) V) explore.Generator[[]V] {
	return explore.SliceOf(n, one)
}

func upTo(rt *explore.T, what string, most time.Duration) time.Duration {
	return time.Duration(explore.Int64Range(0, int64(most)).Draw(rt, what))
}

// scales are those of conversations, and of sessions that change their keys meanwhile.
var scales = []time.Duration{3 * time.Second, 3 * time.Second, 20 * time.Minute}

func drawPlan(rt *explore.T) (p plan) {
	for end := range 2 {
		p.turns[end] = draw(30, func(rt *explore.T) turn {
			return turn{
				what: explore.SampledFrom([]string{"send", "send", "send", "send", "flush", "wait"}).Draw(rt, "what"),
				size: explore.SampledFrom([]int{0, 1, 60, 1000, 30_000, 100_000}).Draw(rt, "size"),
				wait: upTo(rt, "wait", explore.SampledFrom(scales).Draw(rt, "scale")),
			}
		}).Draw(rt, "turns")
		p.readings[end] = draw(10, func(rt *explore.T) (r reading) {
			if explore.IntRange(0, 3).Draw(rt, "patient") == 0 {
				r.patience = upTo(rt, "patience", time.Second) + time.Millisecond
			}
			if explore.IntRange(0, 2).Draw(rt, "slow") == 0 {
				r.rest = upTo(rt, "rest", time.Second)
			}
			return r
		}).Draw(rt, "readings")
	}
	p.troubles = draw(12, func(rt *explore.T) trouble {
		return trouble{
			after:  upTo(rt, "after", explore.SampledFrom(scales).Draw(rt, "scale")),
			what:   explore.SampledFrom([]string{"cut", "cut", "closed", "drop", "repeat", "flip", "reorder", "replay", "truncate", "extend", "silence"}).Draw(rt, "what"),
			client: explore.Bool().Draw(rt, "from the client"),
			nth:    explore.IntRange(2, 12).Draw(rt, "nth"),
			seed:   explore.Uint64().Draw(rt, "seed"),
		}
	}).Draw(rt, "troubles")
	return p
}

// A run is a plan that is carried out.
type run struct {
	plan
	mu       sync.Mutex
	sent     [2][]string
	received [2][]string // from the end of this index
	failed   error       // the first
	over     bool
}

func (r *run) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = fmt.Errorf(format, args...)
	}
}

// say does what the plan has for an end's sender.
func (r *run) say(s *e2e.Session, end int) {
	for i, turn := range r.turns[end] {
		switch turn.what {
		case "wait":
			time.Sleep(turn.wait)
		case "flush":
			if err := s.Flush(context.Background()); err != nil {
				r.fail("end %d, turn %d: Flush: %v", end, i, err)
				return
			}
		case "send":
			message := fmt.Sprintf("%d of %d %0*d", i, end, turn.size, 0)
			r.mu.Lock()
			r.sent[end] = append(r.sent[end], message) // before: the other end may be quick
			r.mu.Unlock()
			if err := s.Send(context.Background(), []byte(message)); err != nil {
				r.fail("end %d, turn %d: Send: %v", end, i, err)
				return
			}
		}
	}
}

// hear receives as the plan says until the session ends, and checks each message.
func (r *run) hear(s *e2e.Session, end int) {
	from := 1 - end
	for i := 0; ; i++ {
		how := reading{}
		if n := len(r.readings[end]); n > 0 && i < 200 { // then it hurries
			how = r.readings[end][i%n]
		}
		message, err := receiveWithin(s, how.patience)
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		r.mu.Lock()
		switch n := len(r.received[from]); {
		case err != nil && !r.over:
			r.mu.Unlock()
			r.fail("end %d: Receive: %v", end, err)
			return
		case err != nil:
			r.mu.Unlock()
			return
		case n >= len(r.sent[from]) || string(message) != r.sent[from][n]:
			r.mu.Unlock()
			r.fail("end %d: message %d is %.20q", end, n, message)
			return
		}
		r.received[from] = append(r.received[from], string(message))
		r.mu.Unlock()
		time.Sleep(how.rest)
	}
}

// receiveWithin gives up after patience, if that is not 0.
func receiveWithin(s *e2e.Session, patience time.Duration) ([]byte, error) {
	ctx := context.Background()
	if patience > 0 {
		c, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = c
	}
	return s.Receive(ctx)
}

// disturb does what the plan has for the links.
func (r *run) disturb(way *road) {
	for _, trouble := range r.troubles {
		time.Sleep(trouble.after)
		switch trouble.what {
		case "cut":
		case "closed":
			way.set(func(r *road) { r.closed = true })
			way.cut()
			time.Sleep(time.Duration(trouble.nth) * time.Second)
			way.set(func(r *road) { r.closed = false })
			continue
		default:
			way.set(func(r *road) { r.each = trouble.faults })
		}
		way.cut()
		time.Sleep(time.Duration(trouble.nth) * time.Second) // not for so long that the server would give up
		way.set(func(r *road) { r.each = nil })
	}
}

// faults are those of each link that is made while the trouble lasts.
func (b trouble) faults() []transport.PipeOption {
	rng := rand.New(rand.NewPCG(b.seed, 0))
	fault := map[string]hostile.Fault{
		"drop": hostile.Drop, "repeat": hostile.Repeat, "flip": hostile.Flip,
		"reorder": hostile.Reorder(2+rng.IntN(3), rng), "replay": hostile.Replay(),
		"truncate": hostile.Truncate, "extend": hostile.Extend, "silence": hostile.Stall,
	}[b.what]
	there := hostile.ForPipe(hostile.FromNth(b.nth, fault))
	if b.client {
		return []transport.PipeOption{transport.WithFaults(there, nil)}
	}
	return []transport.PipeOption{transport.WithFaults(nil, there)}
}

// carryOut runs a plan and returns what was wrong.
func (p plan) carryOut(t *testing.T) error {
	r := &run{plan: p}
	bubble(t, func(t *testing.T) {
		scfg, ccfg := hosting(bob, alice), trusting(alice, bob)
		scfg.Window, ccfg.Window = 64<<10, 64<<10
		sessions := make(chan *e2e.Session, 1)
		way := &road{srv: newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
			sessions <- s
			<-ctx.Done()
			return nil
		})}
		ends := [2]*e2e.Session{way.client(t, ccfg), <-sessions}
		var saying, hearing sync.WaitGroup
		for end, s := range ends {
			saying.Go(func() { r.say(s, end) })
			hearing.Go(func() { r.hear(s, end) })
		}
		r.disturb(way)
		saying.Wait()
		for end, s := range ends {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			if err := s.Flush(ctx); err != nil {
				r.fail("end %d: the last Flush: %v", end, err)
			}
			cancel()
		}
		time.Sleep(10 * time.Minute) // for whoever is slow
		synctest.Wait()
		r.mu.Lock()
		r.over = true
		for end := range ends {
			if got, want := len(r.received[end]), len(r.sent[end]); got != want && r.failed == nil {
				r.failed = fmt.Errorf("%d of %d messages of end %d have arrived", got, want, end)
			}
		}
		r.mu.Unlock()
		ends[0].Close()
		hearing.Wait()
	})
	return r.failed
}

// A15: exactly once and in order, whatever two ends do at the same time and whatever
// becomes of their links.
func TestA15ModelOfSessions(t *testing.T) {
	explore.Check(t, func(rt *explore.T) {
		if err := drawPlan(rt).carryOut(t); err != nil { // a T does not fail inside of a bubble
			rt.Fatal(err)
		}
	})
}
