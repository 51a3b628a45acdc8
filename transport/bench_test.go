//go:build !js

package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/transport"
)

// BenchmarkEcho sends a message to a server on loopback and back. "bare" is
// coder/websocket used as its documentation shows, "gate" has a Gate with every
// limit.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%d/hopseal", size), func(b *testing.B) { benchHopseal(b, size, nil) })
		b.Run(fmt.Sprintf("%d/gate", size), func(b *testing.B) {
			rate := transport.Rate{PerSecond: 1e12, Burst: 1 << 30} // counted, and never reached
			gate := transport.NewGate(&transport.GateOptions{IdleTimeout: time.Hour, MessageRate: rate, ByteRate: rate})
			benchHopseal(b, size, &transport.AcceptOptions{Gate: gate})
		})
		b.Run(fmt.Sprintf("%d/bare", size), func(b *testing.B) { benchBare(b, size) })
	}
}

func benchHopseal(b *testing.B, size int, opts *transport.AcceptOptions) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, accepting(opts)); err == nil {
			echo(conn)
		}
	}))
	defer server.Close()
	ctx := context.Background()
	conn, err := transport.Dial(ctx, server.URL, local)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	msg, buf := make([]byte, size), make([]byte, 0, size)
	b.SetBytes(int64(size))
	for b.Loop() {
		if err := conn.Write(ctx, msg); err != nil {
			b.Fatal(err)
		}
		if buf, err = conn.Read(ctx, buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func benchBare(b *testing.B, size int) {
	ctx := context.Background()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		for {
			kind, msg, err := conn.Read(ctx)
			if err != nil || conn.Write(ctx, kind, msg) != nil {
				return
			}
		}
	}))
	defer server.Close()
	conn, _, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	msg := make([]byte, size)
	b.SetBytes(int64(size))
	for b.Loop() {
		if err := conn.Write(ctx, websocket.MessageBinary, msg); err != nil {
			b.Fatal(err)
		}
		if _, _, err := conn.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
