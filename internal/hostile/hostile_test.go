//go:build !js

package hostile_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestAHostileRelayCanDoAnything(t *testing.T) {
	hub := relay.New(relay.Options{Accept: &transport.AcceptOptions{Policy: transport.Development}})
	injects := make(chan hostile.Inject, 2)
	server := httptest.NewServer(hostile.Relay(hub, &transport.AcceptOptions{Policy: transport.Development}, func(inject hostile.Inject) hostile.Hop {
		injects <- inject
		return hostile.Hop{ToClient: func(b []byte) [][]byte {
			event, err := frame.ParseEvent(b)
			if m, ok := event.(relay.Message); err == nil && ok {
				m.Payload = append(m.Payload, " (edited)"...)
				return [][]byte{m.Append(nil), m.Append(nil)}
			}
			return [][]byte{b}
		}}
	}))
	defer server.Close()
	defer hub.Shutdown(context.Background())
	ann, bob := dial(t, server.URL), dial(t, server.URL)
	for name, c := range map[string]*relay.Client{"ann": ann, "bob": bob} {
		if _, err := c.Join(t.Context(), "room", name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := ann.Publish(t.Context(), "room", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if m := await[relay.Message](t, bob); string(m.Payload) != "hello (edited)" {
			t.Fatalf("got %q", m.Payload)
		}
	}
	invented := frame.Entered{Topic: "room", Member: relay.Member{Name: "nobody"}}
	for range 2 {
		if err := (<-injects)(invented.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for e := await[relay.Entered](t, bob); e.Name != "nobody"; e = await[relay.Entered](t, bob) {
	}
}

func dial(t *testing.T, url string) *relay.Client {
	t.Helper()
	c, err := relay.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http"), &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// await skips events until an E comes.
func await[E relay.Event](t *testing.T, c *relay.Client) E {
	t.Helper()
	for {
		event, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := event.(E); ok {
			return e
		}
	}
}
