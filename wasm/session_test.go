//go:build !js

package main

import (
	"context"
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// TestNodeHasASessionWithAGoServer runs testdata/session.mjs. Node 20 has a WebSocket behind a flag.
func TestNodeHasASessionWithAGoServer(t *testing.T) {
	buildPackage(t)
	url, server := serveEcho(t)
	out := run(t, node(t, "--no-warnings", "--experimental-websocket", "testdata/session.mjs", url,
		base64.StdEncoding.EncodeToString(server.Bytes())))
	if got := strings.TrimSpace(string(out)); got != "all well" {
		t.Errorf("Node said %q", got)
	}
}

// serveEcho serves messages with themselves, and a few requests. The request "cut" ends all
// connections.
func serveEcho(t testing.TB) (url string, server *keys.PublicIdentity) {
	t.Helper()
	identity, err := keys.GenerateIdentity("server")
	if err != nil {
		t.Fatal(err)
	}
	var hop hops
	srv, err := e2e.NewServer(e2e.ServerConfig{Identity: identity, Verifier: trust.InsecureAnyone(), Protocol: "echo/1",
		Accept: &transport.AcceptOptions{Policy: transport.Development}}, func(ctx context.Context, s *e2e.Session) error {
		return s.Serve(ctx, func(ctx context.Context, r *e2e.Request) ([]byte, error) {
			switch {
			case r.OneWay:
				_, err := s.SendMessage(ctx, r.Type, r.Data)
				return nil, err
			case r.Type == "twice":
				return append(r.Data, r.Data...), nil
			case r.Type == "error":
				return nil, &e2e.ReplyError{Code: 404, Text: "not here"}
			case r.Type == "cut":
				hop.cut()
				return nil, nil
			}
			return nil, e2e.Refuse(e2e.RefusedType, nil)
		}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewUnstartedServer(srv)
	listener.Listener = hop.over(listener.Listener)
	listener.Start()
	t.Cleanup(func() { srv.Shutdown(context.Background()); listener.Close() })
	return "ws" + strings.TrimPrefix(listener.URL, "http"), identity.Public()
}
