//go:build !js

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/chromium"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// BenchmarkSession times a page of Chromium that sends 10,000 messages of 1 KiB to a service, through
// a session and through a plain WebSocket in turns:
//
//	go test ./wasm -run xxx -bench Session -benchtime 1x
func BenchmarkSession(b *testing.B) {
	page := serve(b, csp+"; connect-src 'self' ws:")
	services := sinks(b, page)
	p := open(chromium.New(b), page)
	report(b, func() map[string]float64 {
		return chromium.Eval[map[string]float64](p, `(async () => {
			await start();
			const { measureSessions } = await import("/sessionbench.js");
			const services = `+services+`;
			services.identity = Uint8Array.from(atob(services.identity), (c) => c.charCodeAt(0));
			return measureSessions(hopseal, services);
		})()`)
	})
}

// sinks serves a session and a plain WebSocket that take messages. It returns where, as JSON.
func sinks(b *testing.B, page string) string {
	b.Helper()
	identity, err := keys.GenerateIdentity("sink")
	if err != nil {
		b.Fatal(err)
	}
	accept := &transport.AcceptOptions{Policy: transport.Development, Origins: []string{page}}
	sealed, err := e2e.NewServer(e2e.ServerConfig{Identity: identity, Verifier: trust.InsecureAnyone(), Protocol: "sink/1", Accept: accept},
		func(ctx context.Context, s *e2e.Session) error {
			return s.Serve(ctx, func(context.Context, *e2e.Request) ([]byte, error) { return nil, nil }, nil)
		})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/sealed", sealed)
	mux.HandleFunc("/plain", plainSink)
	server := httptest.NewServer(mux)
	b.Cleanup(func() { sealed.Shutdown(context.Background()); server.CloseClientConnections(); server.Close() })
	at := "ws" + strings.TrimPrefix(server.URL, "http")
	where, err := json.Marshal(map[string]any{"sealed": at + "/sealed", "plain": at + "/plain", "identity": identity.Public().Bytes()})
	if err != nil {
		b.Fatal(err)
	}
	return string(where)
}

// plainSink says so whenever another 10,000 messages have come.
func plainSink(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for n := 1; ; n++ {
		if _, _, err := c.Read(r.Context()); err != nil {
			return
		}
		if n%10_000 == 0 && c.Write(r.Context(), websocket.MessageBinary, []byte{1}) != nil {
			return
		}
	}
}
