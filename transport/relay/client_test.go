package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// These tests play the relay themselves, and run in wasm too.

func say(t *testing.T, hub transport.Conn, e frame.Event) {
	t.Helper()
	if err := hub.Write(t.Context(), e.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

func heard(t *testing.T, hub transport.Conn) frame.Request {
	t.Helper()
	b, err := hub.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := frame.ParseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEventsThatComeBeforeTheAnswerAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := transport.Pipe()
		c := relay.NewClient(a)
		defer c.Close()
		go func() {
			heard(t, hub)
			say(t, hub, frame.Left{Topic: "other"})
			say(t, hub, frame.Refused{Topic: "room", Code: relay.NotJoined}) // of a Publish, not of the Join
			say(t, hub, frame.Joined{Topic: "other"})                        // nobody waits for that
			say(t, hub, frame.Joined{Topic: "room", ID: relay.MemberID{7}})
			say(t, hub, frame.Entered{Topic: "room"})
		}()
		joined, err := c.Join(t.Context(), "room", "ann", nil)
		if err != nil || joined.ID != (relay.MemberID{7}) {
			t.Fatalf("got %+v, %v", joined, err)
		}
		for _, want := range []string{"frame.Left", "frame.Refused", "frame.Joined", "frame.Entered"} {
			event, err := c.Next(t.Context())
			if got := fmt.Sprintf("%T", event); err != nil || got != want {
				t.Fatalf("got %s, %v, want %s", got, err, want)
			}
		}
	})
}

func TestJoinEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := transport.Pipe()
		c := relay.NewClient(a)
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { heard(t, hub); cancel() }()
		if _, err := c.Join(ctx, "room", "ann", nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		say(t, hub, frame.Joined{Topic: "room"}) // late, but the connection is good
		if event, err := c.Next(t.Context()); err != nil || event.(relay.Joined).Topic != "room" {
			t.Fatalf("got %v, %v", event, err)
		}
		if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		say(t, hub, frame.Left{Topic: "room"})
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatalf("a Next that was given up ended the connection: %v", err)
		}
	})
}

func TestTwoJoinsOfATopicAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := transport.Pipe()
		c := relay.NewClient(a)
		defer c.Close()
		first := make(chan error)
		go func() { _, err := c.Join(t.Context(), "room", "ann", nil); first <- err }()
		heard(t, hub)
		_, err := c.Join(t.Context(), "room", "bob", nil)
		var refused *relay.RefusedError
		if !errors.As(err, &refused) || refused.Code != relay.AlreadyJoined {
			t.Fatalf("got %v", err)
		}
		say(t, hub, frame.Joined{Topic: "room"})
		if err := <-first; err != nil {
			t.Fatal(err)
		}
	})
}

func TestTheEndOfTheConnectionReachesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := transport.Pipe()
		c := relay.NewClient(a)
		defer c.Close()
		joining := make(chan error)
		go func() { _, err := c.Join(t.Context(), "room", "ann", nil); joining <- err }()
		heard(t, hub)
		say(t, hub, frame.Left{Topic: "room"})
		hub.Close(transport.CodeGoingAway, "")
		if err := <-joining; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Join: %v", err)
		}
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatalf("what came before the end was lost: %v", err)
		}
		if _, err := c.Next(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Next: %v", err)
		}
		if err := c.Publish(t.Context(), "room", nil); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Publish: %v", err)
		}
		if _, err := c.Join(t.Context(), "room", "ann", nil); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("a later Join: %v", err)
		}
	})
}

func TestAServerThatIsNoRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := transport.Pipe()
		c := relay.NewClient(a)
		defer c.Close()
		if err := hub.Write(t.Context(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		_, err := c.Next(t.Context())
		if !errors.Is(err, net.ErrClosed) || err.Error()[:40] != "relay: what answers there is not a relay" {
			t.Fatalf("got %v", err)
		}
	})
}

func TestCloseWithFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := transport.Pipe(transport.WithBuffer(1000))
		c := relay.NewClient(a)
		for range 500 { // nobody calls Next
			say(t, hub, frame.Left{Topic: "room"})
		}
		synctest.Wait()
		c.Close()
		c.Close()
		if _, err := c.Next(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("got %v", err)
		}
	})
}
