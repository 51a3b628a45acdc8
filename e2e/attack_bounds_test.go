//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/streams"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// What the ends of these tests allow, in bytes.
const (
	smallWindow   = engine.MinWindow
	largest       = e2e.DefaultMaxMessage
	oneAllowance  = smallWindow + largest + engine.MaxHeader // Config.Window and one message more
	unreadStreams = streams.Max * (16<<10 + streams.MaxMetadata + 256)
	besides       = 512 << 10 // of goroutines, buffers of connections and what is small
)

// A greedy is an end that keeps to the form of the protocol, has the other end hold as much as
// it can, and acknowledges nothing.
type greedy struct {
	*rogue
	t    testing.TB
	news chan struct{} // may hold a token if something was opened
	over chan struct{} // closed with the connection
	said atomic.Int64  // bytes, and one for each message
}

func newGreedy(t testing.TB, r *rogue) *greedy {
	g := &greedy{rogue: r, t: t, news: make(chan struct{}, 1), over: make(chan struct{})}
	go g.read(r.link)
	return g
}

// read takes everything in, and with it acknowledgements and credit.
func (g *greedy) read(link *engine.Link) {
	defer close(g.over)
	for frame, plain := []byte(nil), []byte(nil); ; {
		var err error
		if frame, err = g.Read(context.Background(), frame[:0]); err != nil {
			return
		}
		var event engine.Event
		if plain, event, err = link.Open(time.Now(), plain, frame); err != nil {
			return
		}
		if event == engine.Message {
			plain = nil
		}
		select {
		case g.news <- struct{}{}:
		default:
		}
	}
}

// say sends one message, as soon as there is credit, and reports whether it could.
func (g *greedy) say(h engine.Header, body []byte) bool {
	link := g.link
	for {
		frame, err := link.Seal(time.Now(), nil, h.Append(nil), body)
		for err == nil && len(frame) > 0 {
			if g.Write(context.Background(), frame) != nil {
				return false
			}
			if !link.Unfinished() {
				g.said.Add(int64(len(body)) + 1)
				return true
			}
			frame, err = link.Next(time.Now(), frame[:0])
		}
		if !errors.Is(err, engine.ErrBlocked) {
			return false
		}
		select {
		case <-g.news:
		case <-g.over:
			return false
		}
	}
}

// repeat says the same again and again. Now and then it lets the other end get on: one that is
// only slow is cut off sooner.
func (g *greedy) repeat(n int, h engine.Header, body []byte) {
	for i := range n {
		if i%100 == 99 {
			time.Sleep(time.Millisecond)
		}
		if !g.say(h, body) {
			return
		}
	}
}

// A56: whatever a peer sends, and wherever the end that gets it is with it, that holds no more
// than its Config says: see Config.Window. Each row says how often it may hold as much as that
// and one message.
func TestA56WhatAPeerHasAnEndHoldIsBounded(t *testing.T) {
	const many, flood = 100, 1500 // of a flood of refusals more would end the session
	large, small := make([]byte, largest), make([]byte, 0)
	header := func(kind engine.Kind, typ string) engine.Header { return engine.Header{Kind: kind, Type: typ} }
	reads := func(ctx context.Context, s *e2e.Session) error {
		for {
			if _, err := s.ReceiveMessage(ctx); err != nil {
				return err
			}
		}
	}
	waits := func(ctx context.Context, _ *e2e.Session) error { <-ctx.Done(); return nil }
	serves := func(atOnce int, f func(context.Context, *e2e.Request) ([]byte, error)) func(context.Context, *e2e.Session) error {
		router := mux.New()
		router.Concurrent = atOnce
		router.OnError = func(*e2e.Request, error) {}
		if f != nil {
			router.Handle("served", f)
		}
		return router.Serve
	}
	stuck := serves(64, func(ctx context.Context, _ *e2e.Request) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
	echoes := serves(4, func(_ context.Context, r *e2e.Request) ([]byte, error) { return r.Data, nil })
	answers := serves(4, func(context.Context, *e2e.Request) ([]byte, error) { return make([]byte, largest), nil })
	fails := serves(4, func(context.Context, *e2e.Request) ([]byte, error) {
		return nil, &e2e.ReplyError{Text: strings.Repeat("x", 1024)}
	})
	unserved := serves(4, nil)
	for name, test := range map[string]struct {
		end     func(context.Context, *e2e.Session) error
		attack  func(*greedy)
		held    float64 // times oneAllowance
		further int     // bytes
	}{
		"messages that nobody receives": {waits, func(g *greedy) { g.repeat(many, header(engine.KindMessage, ""), large) }, 1.25, 0},
		"empty ones":                    {waits, func(g *greedy) { g.repeat(flood, header(engine.KindMessage, ""), small) }, 1, 0},
		"messages that wait to be served": {stuck, func(g *greedy) {
			g.repeat(many, header(engine.KindMessage, "served"), large)
		}, 1.25, 0},
		"messages that are refused": {unserved, func(g *greedy) {
			g.repeat(flood, header(engine.KindMessage, "unknown"), small)
		}, 2, 0},
		"requests that nobody serves": {waits, func(g *greedy) { g.repeat(many, header(engine.KindRequest, ""), large) }, 1, 0},
		"requests that are served":    {stuck, func(g *greedy) { g.repeat(many, header(engine.KindRequest, "served"), large) }, 1, 0},
		"requests that wait beside":   {stuck, func(g *greedy) { g.repeat(flood, header(engine.KindRequest, "served"), small) }, 1, 0},
		"requests whose answers are not acknowledged": {echoes, func(g *greedy) {
			g.repeat(many, header(engine.KindRequest, "served"), large)
		}, 3, 0},
		"requests with larger answers": {answers, func(g *greedy) {
			g.repeat(flood/2, header(engine.KindRequest, "served"), small)
		}, 3, 4 * largest},
		"requests that fail with many words": {fails, func(g *greedy) {
			g.repeat(flood/2, header(engine.KindRequest, "served"), make([]byte, 10_000))
		}, 1, 0},
		"requests that are refused": {unserved, func(g *greedy) {
			g.repeat(flood, header(engine.KindRequest, strings.Repeat("unknown", 18)), small)
		}, 2, 0},
		"requests that a Receive refuses": {reads, func(g *greedy) {
			g.repeat(flood, header(engine.KindRequest, "served"), small)
		}, 2, 0},
		"answers that nobody waits for any more": {asks(100), func(g *greedy) {
			for n := range uint64(64) {
				g.say(engine.Header{Kind: engine.KindAnswer, Answers: n + 1}, large)
			}
		}, 1, 0},
		"refusals that nobody hears": {tells(1000), func(g *greedy) {
			for n := range uint64(1000) {
				g.say(engine.Header{Kind: engine.KindRefusal, Answers: n + 1}, []byte{0, 1})
			}
		}, 1, 0},
		"streams that nobody accepts": {waits, func(g *greedy) {
			g.repeat(streams.Max, header(engine.KindStreamOpen, strings.Repeat("t", 128)), make([]byte, streams.MaxMetadata))
		}, 0, unreadStreams},
		"streams that nobody reads": {waits, func(g *greedy) {
			g.repeat(streams.Max, header(engine.KindStreamOpen, "t"), nil)
			for n := range uint64(streams.Max) {
				g.say(engine.Header{Kind: engine.KindStreamPiece, Answers: n + 1}, make([]byte, 16<<10))
			}
		}, 1, unreadStreams},
		"streams that are cancelled": {cancels, func(g *greedy) {
			for n := range uint64(10 * many) {
				if !g.say(header(engine.KindStreamOpen, "t"), nil) || !g.say(engine.Header{Kind: engine.KindStreamAbort, Answers: 2*n + 1}, nil) {
					return
				}
			}
		}, 2, unreadStreams},
		"cancels of streams": {opens, func(g *greedy) {
			for n := range uint64(streams.Max) {
				g.say(engine.Header{Kind: engine.KindStreamCancel, Answers: n + 1}, nil)
			}
		}, 1, 0},
		"a message that does not end": {waits, partly(engine.KindMessage), 1.25, 0},
		"a request that does not end": {stuck, partly(engine.KindRequest), 1.25, 0},
		"an update that nobody decides on": {waits, func(g *greedy) {
			for range many {
				g.link.Update(alice.Public(), make([]byte, e2e.MaxCredentials)) // once
				frame, err := g.link.Control(time.Now(), nil)
				if err != nil || len(frame) == 0 || g.Write(context.Background(), frame) != nil {
					return
				}
			}
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				grown := heldBy(t, test.end, test.attack)
				most := int64(test.held*oneAllowance) + int64(test.further) + besides
				t.Logf("%d KiB held, %d allowed", grown>>10, most>>10)
				if grown > most {
					t.Errorf("%d bytes held, want %d at most", grown, most)
				}
			})
		})
	}
}

// heldBy returns how many bytes an end holds behind an attack.
func heldBy(t *testing.T, end func(context.Context, *e2e.Session) error, attack func(*greedy)) int64 {
	cfg := once(hosting(bob, alice))
	cfg.Window = smallWindow
	cfg.Refused = func(s *e2e.Session, _ *e2e.RefusedError) { <-s.Done() }
	cfg.Verifier = &firstOnly{}
	a, b := transport.Pipe(transport.WithBuffer(1))
	served := serve(newServer(t, cfg, end), b)
	r, err := rogueOver(t, a, alice, engine.MaxWindow)
	if err != nil {
		t.Fatal(err)
	}
	g := newGreedy(t, r)
	time.Sleep(time.Second) // the end has said what it wants to say
	before := inUse()
	go attack(g)
	time.Sleep(8 * time.Second)
	synctest.Wait()
	r.session.Forget() // what the greedy end itself keeps
	after := inUse()
	select {
	case <-g.over:
		t.Errorf("cut off behind %d bytes: that it holds little says nothing", g.said.Load())
	default:
	}
	g.Close(transport.CodeNormal, "")
	<-g.over
	<-served
	return after - before
}

// asks is an end that calls so often, and gives up soon.
func asks(n int) func(context.Context, *e2e.Session) error {
	return func(ctx context.Context, s *e2e.Session) error {
		soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		for range n {
			go s.Call(soon, "asked", nil)
		}
		<-ctx.Done()
		return nil
	}
}

// tells is an end that sends so many messages.
func tells(n int) func(context.Context, *e2e.Session) error {
	return func(ctx context.Context, s *e2e.Session) error {
		for range n {
			s.Send(ctx, nil)
		}
		<-ctx.Done()
		return nil
	}
}

// cancels is an end that gives up each stream that comes.
func cancels(ctx context.Context, s *e2e.Session) error {
	for {
		r, err := s.ReceiveStream(ctx)
		if err != nil {
			return err
		}
		r.Close()
	}
}

// opens is an end that sends some.
func opens(ctx context.Context, s *e2e.Session) error {
	for range streams.Max {
		if _, err := s.OpenStream(ctx, "t", nil); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// partly sends all of the largest message but for its last piece.
func partly(kind engine.Kind) func(*greedy) {
	return func(g *greedy) {
		h := engine.Header{Kind: kind, Type: "served"}
		frame, err := g.link.Seal(time.Now(), nil, h.Append(nil), make([]byte, largest))
		for err == nil && g.link.Unfinished() && g.Write(context.Background(), frame) == nil {
			frame, err = g.link.Next(time.Now(), frame[:0])
		}
	}
}
