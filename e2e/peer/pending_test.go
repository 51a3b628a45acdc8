package peer_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// stalling returns opens that begin a handshake, each of another link. Nothing follows.
func stalling(t *testing.T) func() []byte {
	near, far := transport.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e2e.Connect(context.Background(), near, "room/somebody", e2e.Config{
			Identity: newIdentity("stranger"), Verifier: trust.InsecureAnyone(), Protocol: "test/1"})
	}()
	first, err := far.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	far.Cut()
	<-ended
	return func() []byte {
		b := append(make([]byte, 17), first...)
		rand.Read(b[1:17])
		b[0] = 1
		return b
	}
}

// crowd has strangers open links to members until the test ends, each as often as it says.
func crowd(t *testing.T, h *hub, strangers int, every time.Duration, to ...*member) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	open := stalling(t)
	for i := range strangers {
		near, _ := h.connect()
		client := relay.NewClient(near)
		if _, err := client.Join(t.Context(), topic, fmt.Sprint("stranger ", i), nil); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for {
				if _, err := client.Next(ctx); err != nil {
					return
				}
			}
		})
		all.Go(func() {
			for range 8 {
				for _, m := range to {
					client.Send(ctx, topic, m.id(), open())
				}
			}
			for time.Sleep(every); ctx.Err() == nil; time.Sleep(every) {
				for _, m := range to {
					client.Send(ctx, topic, m.id(), open())
				}
			}
		})
		t.Cleanup(func() { client.Close() })
	}
	t.Cleanup(func() { stop(); all.Wait() })
	time.Sleep(100 * time.Millisecond)
}

// lives checks that a session goes on, within a time.
func lives(t *testing.T, what string, a, b *e2e.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second) // less than a handshake may stall
	defer cancel()
	for _, ends := range [][2]*e2e.Session{{a, b}, {b, a}} {
		if err := ends[0].Send(ctx, []byte(what)); err != nil {
			t.Fatalf("%s: Send: %v", what, err)
		}
		if got, err := ends[1].Receive(ctx); err != nil || string(got) != what {
			t.Fatalf("%s: Receive: %q, %v", what, got, err)
		}
	}
}

// meets has one member dial another one, within a time.
func meets(t *testing.T, what string, a, b *member, name string) (x, y *e2e.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	x, err := a.Dial(ctx, name)
	if err != nil {
		t.Fatalf("%s: Dial: %v", what, err)
	}
	if y, err = b.Accept(ctx); err != nil {
		t.Fatalf("%s: Accept: %v", what, err)
	}
	lives(t, what, x, y)
	return x, y
}

// Strangers who open links and prove nothing keep no members from each other: the sessions
// that there are outlive the relay's links, and new ones come about.
func TestA33StrangersKeepNoMembersApart(t *testing.T) {
	for strangers, every := range map[int]time.Duration{8: 50 * time.Millisecond, 100: 100 * time.Millisecond} {
		t.Run(fmt.Sprint(strangers), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHub()
				h.late = 10 * time.Millisecond
				a := enter(t, h, low, high, mallory)
				b := enter(t, h, high, low, mallory)
				x, y := meets(t, "before", a, b, high.Name())
				crowd(t, h, strangers, every, a, b)

				lives(t, "meanwhile", x, y)
				c := enter(t, h, mallory, low, high) // nobody here has a session with it
				meets(t, "a new member", c, a, low.Name())
				meets(t, "and another", b, c, mallory.Name())
				for _, lost := range [][]*member{{a}, {b}, {a, b}} {
					for _, m := range lost {
						m.cut()
					}
					for _, m := range lost {
						m.join()
					}
					time.Sleep(50 * time.Millisecond)
					lives(t, "cut", x, y)
				}
				a.cut() // and loses its memory, while the others have a session with it
				again := enter(t, h, low, high, mallory)
				x2, y2 := meets(t, "started again", again, b, high.Name())
				lives(t, "again", x2, y2)
				if n := peer.Links(b.Node); n > 64 {
					t.Errorf("%d links", n)
				}
			})
		})
	}
}

// Whoever finds no place is told when to try again, and so is who has lost his.
func TestADroppedOpenIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		cfg := trusting(low, high)
		cfg.MaxHandshakes = 4 // two for strangers
		a := enterAs(t, h, low.Name(), cfg)
		client, send := stranger(t, h, "one")
		opens, open := make([][]byte, 12), stalling(t)
		for i := range opens {
			opens[i] = open()
			send(a, opens[i])
		}
		var told [][]byte
		for len(told) < 10 {
			d := nextDirect(t, client)
			if d.Payload[0] != 3 {
				continue
			}
			told = append(told, d.Payload)
			closed := transport.PeerClosed(transport.Code(int(d.Payload[17])<<8|int(d.Payload[18])), string(d.Payload[19:]))
			if closed.Code != transport.CodeTryLater || closed.RetryAfter < time.Second || closed.RetryAfter > 2*time.Second {
				t.Errorf("told %v", closed)
			}
		}
		for i, b := range told { // it makes room by itself eight times, and then opens too often
			want := opens[i]
			if i >= 6 {
				want = opens[i+2]
			}
			if string(b[1:17]) != string(want[1:17]) {
				t.Errorf("answer %d is for another open", i)
			}
		}
		// A session is refused with that, and made when there is room again.
		second, sendToo := stranger(t, h, "two")
		sendToo(a, open())
		nextDirect(t, second)
		b := enter(t, h, high, low)
		meets(t, "behind both", b, a, low.Name())
	})
}

// A member who opens many links in the share of those with a session makes room for others.
func TestMembersWithASessionMakeRoomForEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		var others []*keys.Identity
		for i := range 4 {
			others = append(others, newIdentity(fmt.Sprint("member ", i)))
		}
		cfg := trusting(low, others...)
		cfg.MaxHandshakes = 8 // four for members
		a := enterAs(t, h, low.Name(), cfg)
		var sessions [][2]*e2e.Session
		var members []*member
		for _, id := range others {
			m := enter(t, h, id, low)
			x, y := meets(t, id.Name(), m, a, low.Name())
			sessions, members = append(sessions, [2]*e2e.Session{x, y}), append(members, m)
		}
		// The relay is lost. Two take all places that they can get, under names with which
		// there are sessions, before the others come back.
		for _, m := range append(members, a) {
			m.cut()
		}
		a.join()
		open := stalling(t)
		for _, m := range members[:2] {
			_, send := stranger(t, h, m.name)
			time.Sleep(50 * time.Millisecond)
			for range 20 {
				send(a, open())
			}
			var flood sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			defer flood.Wait()
			defer stop()
			flood.Go(func() {
				for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
					send(a, open())
				}
			})
		}
		for _, m := range members[2:] {
			m.join()
		}
		for i, s := range sessions[2:] {
			lives(t, others[i+2].Name(), s[0], s[1])
		}
	})
}

// When a relay was gone, more members come back at once than there are places.
func TestManyMembersComeBackAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		h.late = 10 * time.Millisecond
		var others []*keys.Identity
		for i := range 30 {
			others = append(others, newIdentity(fmt.Sprint("member ", i)))
		}
		cfg := trusting(low, others...)
		cfg.MaxHandshakes = 8
		a := enterAs(t, h, low.Name(), cfg)
		var sessions [][2]*e2e.Session
		for _, id := range others {
			m := enter(t, h, id, low)
			x, y := meets(t, id.Name(), m, a, low.Name())
			sessions = append(sessions, [2]*e2e.Session{x, y})
		}
		a.cut()
		a.join()
		for i, s := range sessions {
			lives(t, others[i].Name(), s[0], s[1])
		}
	})
}

// Whoever is let in may begin as many sessions as it likes.
func TestSessionsMayBeShort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a, b := enter(t, h, low, high), enter(t, h, high, low)
		began := time.Now()
		for range 20 {
			x, y := meets(t, "short", a, b, high.Name())
			x.Close()
			<-y.Done()
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("twenty took %v", took)
		}
	})
}
