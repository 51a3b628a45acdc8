package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

func sendTyped(t testing.TB, s *e2e.Session, typ, data string) uint64 {
	t.Helper()
	id, err := s.SendMessage(t.Context(), typ, []byte(data))
	if err != nil {
		t.Fatalf("SendMessage: %v", err)
	}
	return id
}

// overAs is over with changes to the Configs of both ends.
func overAs(t testing.TB, change func(client *e2e.Config, server *e2e.ServerConfig), opts ...transport.PipeOption) (client, server *e2e.Session) {
	t.Helper()
	a, b := transport.Pipe(opts...)
	ccfg, scfg := trusting(alice, bob), hosting(bob, alice)
	change(&ccfg, &scfg)
	accepted := make(chan error, 1)
	go func() {
		var err error
		server, err = e2e.Accept(context.Background(), b, scfg)
		accepted <- err
	}()
	client, err := e2e.Connect(context.Background(), a, "pipe", ccfg)
	if other := <-accepted; err != nil || other != nil {
		t.Fatalf("client: %v, server: %v", err, other)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// refusals returns a callback for Config.Refused and the first that it hears.
func refusals() (func(*e2e.Session, *e2e.RefusedError), <-chan *e2e.RefusedError) {
	heard := make(chan *e2e.RefusedError, 100)
	return func(_ *e2e.Session, err *e2e.RefusedError) {
		select {
		case heard <- err:
		default:
		}
	}, heard
}

func wantRefused(t testing.TB, err error, id uint64, why e2e.Refusal) {
	t.Helper()
	var refused *e2e.RefusedError
	if !errors.As(err, &refused) || refused.Reason != why || id > 0 && refused.ID != id {
		t.Errorf("%v, want message %d refused for reason %d", err, id, why)
	}
}

func TestMessageCarriesTypeTimeAndID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		for i, typ := range []string{"", "order.create", strings.Repeat("t", 128), "gr\u00f6\u00dfe"} {
			sent := time.Now()
			id := sendTyped(t, c, typ, "data")
			time.Sleep(time.Hour / 2)
			m, err := s.ReceiveMessage(t.Context())
			if err != nil || m.Type != typ || string(m.Data) != "data" || m.ID != id || m.ID != uint64(i+1) {
				t.Fatalf("%+v, %v", m, err)
			}
			if !m.Time.Equal(sent.Truncate(time.Millisecond)) {
				t.Errorf("sent at %v, it says %v", sent, m.Time)
			}
		}
	})
}

func TestTypesThatCannotBe(t *testing.T) {
	c, s := over(t)
	for _, typ := range []string{strings.Repeat("t", 129), "\xff", "half \xc3"} {
		if _, err := c.SendMessage(t.Context(), typ, nil); err == nil {
			t.Errorf("type %q was sent", typ)
		}
		if _, err := c.Call(t.Context(), typ, nil); err == nil {
			t.Errorf("type %q was called", typ)
		}
	}
	mustSend(t, c, "the session goes on")
	mustReceive(t, s, "the session goes on")
}

// MaxMessage is about the data; what the session adds does not count.
func TestMaxMessageIsAboutData(t *testing.T) {
	c, s := over(t, transport.WithMaxMessage(e2e.MaxFrame(e2e.DefaultMaxMessage)))
	data := bytes.Repeat([]byte("d"), e2e.DefaultMaxMessage)
	if _, err := c.SendMessage(t.Context(), strings.Repeat("t", 128), data); err != nil {
		t.Fatal(err)
	}
	if m, err := s.ReceiveMessage(t.Context()); err != nil || !bytes.Equal(m.Data, data) {
		t.Fatalf("%d bytes, %v", len(m.Data), err)
	}
	if _, err := c.SendMessage(t.Context(), "", append(data, 0)); !errors.Is(err, e2e.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

// Receive takes messages of no type. Others, and requests, are refused, in their order,
// and their sender told so.
func TestReceiveRefusesTypes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told, heard := refusals()
		c, s := overAs(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.Refused = told })
		for _, ahead := range []bool{false, true} {
			typed := sendTyped(t, c, "typed", "never seen")
			called := make(chan error)
			go func() {
				_, err := c.Call(t.Context(), "request", nil)
				called <- err
			}()
			synctest.Wait()
			mustSend(t, c, "bare")
			if ahead {
				time.Sleep(time.Second) // the session has read all of it
			}
			mustReceive(t, s, "bare")
			wantRefused(t, <-called, typed+1, e2e.RefusedType)
			wantRefused(t, <-heard, typed, e2e.RefusedType)
		}
		if stats := s.Stats(); stats.MessagesRefused != 4 || stats.MessagesTurnedDown != 0 {
			t.Errorf("%+v", stats)
		}
		if stats := c.Stats(); stats.MessagesRefused != 0 || stats.MessagesTurnedDown != 4 {
			t.Errorf("%+v", stats)
		}
	})
}

// A34: refused messages make no room before their sender knows, so a flood of them
// waits like any other, and leaves nothing behind.
func TestA34FloodOfRefusedMessages(t *testing.T) {
	told, heard := refusals()
	c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) { c.Refused, c.Window, s.Window = told, 64<<10, 64<<10 })
	var work sync.WaitGroup
	work.Go(func() {
		for range 5000 {
			sendTyped(t, c, "unknown", "x")
		}
		mustSend(t, c, "last")
	})
	mustReceive(t, s, "last")
	work.Wait()
	wantRefused(t, <-heard, 0, e2e.RefusedType)
	mustSend(t, s, "the session goes on")
	mustReceive(t, c, "the session goes on")
}

// A message that only a hostile peer would write ends the session, with a reason of its
// own.
func TestA30MalformedMessageEndsTheSession(t *testing.T) {
	for name, message := range map[string][]byte{
		"empty":                     {},
		"no header":                 {0},
		"unknown kind":              {200, 0, 0, 0, 0, 0, 0, 0},
		"type cut off":              {0, 0, 0, 0, 0, 0, 0, 5, 'a'},
		"type not UTF-8":            {0, 0, 0, 0, 0, 0, 0, 1, 0xff},
		"answer to nothing":         {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"answer to what comes":      {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
		"refusal without a code":    {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		"refusal, unknown and more": {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9},
		"refusal, code 0":           {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0},
		"refusal with more":         {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0},
		"error without its code":    {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0},
		"error that is not UTF-8":   {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0, 1, 0xff},
		"error with too long words": append([]byte{3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0, 1}, make([]byte, 1025)...),
	} {
		t.Run(name, func(t *testing.T) {
			c, s := over(t)
			mustSend(t, c, "one message") // that could be answered
			mustReceive(t, s, "one message")
			if err := e2e.SendRaw(s, message); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrMisbehaved}, false)
		})
	}
}

// More replies than messages, no honest end sends.
func TestA34FloodOfRepliesEndsTheSession(t *testing.T) {
	c, s := over(t)
	mustSend(t, c, "one")
	late := []byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	for range 2 {
		if err := e2e.SendRaw(s, late); err != nil {
			t.Fatal(err)
		}
	}
	wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrMisbehaved}, false)
}

// Of many who send at once to an end that takes its time, none gives up while others get
// on: the other end is cut only if it takes nothing.
func TestManySendersWaitForASlowReceiver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) { c.Window, s.Window = 64<<10, 64<<10 })
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() { mustSend(t, c, strings.Repeat("m", 100_000)) })
		}
		for range 8 {
			time.Sleep(40 * time.Second)
			mustReceive(t, s, strings.Repeat("m", 100_000))
		}
		work.Wait()
	})
}
