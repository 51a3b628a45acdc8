package peer_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/conntest"
	"github.com/hopseal/hopseal/transport/relay"
)

// TestA41WhatARelayReadsOfALink lists what is added to a session's own frames.
func TestA41WhatARelayReadsOfALink(t *testing.T) {
	id := "a00102030405060708090a0b0c0d0e0f"
	for name, f := range map[string]string{
		"open: kind, link id, message": "01" + id + "ee",
		"data: kind, link id, message": "02" + id + "ee",
		"close: kind, link id, code":   "03" + id + "03e8",
		"close, with a reason":         "03" + id + "03e8" + "6f6b",
		"confirm: kind, link id":       "04" + id,
		"an empty message":             "02" + id,
	} {
		b, err := hex.DecodeString(f)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := peer.Parse(b); !ok || !bytes.Equal(got, b) {
			t.Errorf("%s: %x, %v", name, got, ok)
		}
	}
	for name, f := range map[string]string{
		"nothing":             "",
		"no id":               "02",
		"a short id":          "02" + id[2:],
		"kind 0":              "00" + id,
		"kind 5":              "05" + id,
		"a close of no code":  "03" + id + "03",
		"a reason, no UTF-8":  "03" + id + "03e8ff",
		"a long reason":       "03" + id + "03e8" + strings.Repeat("61", 124),
		"a confirm with more": "04" + id + "00",
	} {
		b, err := hex.DecodeString(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := peer.Parse(b); ok {
			t.Errorf("%s: %s is a frame", name, f)
		}
	}
}

func FuzzA32LinkFrames(f *testing.F) {
	for _, b := range [][]byte{{}, make([]byte, 17), append([]byte{1}, make([]byte, 40)...), append([]byte{3}, make([]byte, 18)...), append([]byte{4}, make([]byte, 16)...)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, ok := peer.Parse(b); ok && !bytes.Equal(again, b) {
			t.Fatalf("%x becomes %x", b, again)
		}
	})
}

// stranger joins the hub without a node, and returns how it sends to another.
func stranger(t *testing.T, h *hub, name string) (client *relay.Client, send func(to *member, payload []byte)) {
	near, _ := h.connect()
	client = relay.NewClient(near)
	if _, err := client.Join(t.Context(), topic, name, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, func(to *member, payload []byte) {
		if err := client.Send(context.Background(), topic, to.id(), payload); err != nil {
			t.Errorf("Send: %v", err)
		}
	}
}

// opening is the frame that opens a link, whose message is that of a handshake by its
// size.
func opening(n int) []byte {
	return append([]byte{1, byte(n >> 8), byte(n)}, make([]byte, 14+1232)...)
}

// A member that opens links, says nothing on them or too much, takes up a bounded place,
// and does not keep others out.
func TestA33AFloodOfLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a, b := enter(t, h, low, high), enter(t, h, high, low)
		_, send := stranger(t, h, "flood")
		var most int
		for n := range 300 {
			send(a, opening(n))
			if n%7 == 0 {
				send(a, append([]byte{2, byte(n >> 8), byte(n)}, make([]byte, 14+9000)...))
			}
			if n%50 == 49 {
				synctest.Wait()
			}
			most = max(most, peer.Links(a.Node))
		}
		if most > 8 {
			t.Errorf("%d links of one stranger at a time", most)
		}
		x, err := b.Dial(t.Context(), low.Name())
		if err != nil {
			t.Fatal(err)
		}
		talk(t, x, mustAccept(t, a))
		time.Sleep(time.Minute)
		if n := peer.Links(a.Node); n != 1 {
			t.Errorf("%d links are left", n)
		}
	})
}

// Frames that belong to nothing are dropped, whoever sends them.
func TestFramesOfNoLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a, b := enter(t, h, low, high), enter(t, h, high, low)
		var ids [][]byte
		h.change = func(_, _ string, payload []byte) [][]byte {
			ids = append(ids, bytes.Clone(payload[1:17]))
			return [][]byte{payload}
		}
		x, err := a.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		y := mustAccept(t, b)
		talk(t, x, y)
		known := ids[0]
		_, send := stranger(t, h, "eve")
		for kind := byte(0); kind < 7; kind++ {
			for _, id := range [][]byte{known, make([]byte, 16)} {
				for _, to := range []*member{a, b} {
					send(to, append(append([]byte{kind}, id...), 3, 232)) // 1000, for a close
				}
			}
		}
		synctest.Wait()
		talk(t, x, y) // over the link that there was
		if n := len(h.seats); n != 3 {
			t.Errorf("%d members", n)
		}
	})
}

// A relay that sends without end costs a link, not memory.
func TestA34ALinkThatOverflowsIsCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		node := enter(t, h, low, high)
		far, send := stranger(t, h, "far")
		synctest.Wait()
		conn := peer.Open(node.Node, "far", 100_000)
		if err := conn.Write(t.Context(), []byte("open")); err != nil {
			t.Fatal(err)
		}
		open := nextDirect(t, far)
		for range 100 {
			send(node, append(append([]byte{2}, open.Payload[1:17]...), make([]byte, 10_000)...))
		}
		if d := nextDirect(t, far); d.Payload[0] != 3 {
			t.Errorf("kind %d, want a close", d.Payload[0])
		}
		_, err := conn.Read(t.Context(), nil)
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodePolicy || closed.Remote {
			t.Errorf("Read: %v", err)
		}
	})
}

func nextDirect(t *testing.T, client *relay.Client) relay.Direct {
	t.Helper()
	for {
		event, err := client.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := event.(relay.Direct); ok {
			return d
		}
	}
}

// Links keep the promises of a Conn. What bounds writers is the session inside.
func TestLinksAreConns(t *testing.T) {
	conntest.Test(t, conntest.Link{Unbounded: true, Connect: func(t *testing.T) (a, b transport.Conn) {
		h := newHub()
		near := enter(t, h, low, high)
		node, err := peer.New(topic, trusting(high, low))
		if err != nil {
			t.Fatal(err)
		}
		conn, _ := h.connect()
		client := relay.NewClient(conn)
		joined, err := client.Join(t.Context(), topic, "far", nil)
		if err != nil {
			t.Fatal(err)
		}
		node.Use(client, joined)
		links, ended := make(chan transport.Conn, 1), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				event, err := client.Next(context.Background())
				if err != nil {
					return
				}
				peer.AcceptLinks(node, 1<<30, links, event)
			}
		}()
		t.Cleanup(func() { node.Close(); client.Close(); <-ended })
		for a == nil {
			a = peer.Open(near.Node, "far", 1<<30)
			runtime.Gosched() // until it has heard of the other one
		}
		if err := a.Write(t.Context(), []byte("open")); err != nil {
			t.Fatal(err)
		}
		b = <-links
		if _, err := b.Read(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, c := range []transport.Conn{a, b} {
			c.(interface{ SetMaxMessage(int) }).SetMaxMessage(conntest.MaxMessage)
		}
		return a, b
	}})
}
