//go:build !js

package netconn_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/netconn"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

type sessionKey struct{}

// HTTP inside of sessions: what runs a web server on the way reads neither requests nor
// answers. The same works with gRPC and all else that takes a net.Conn.
func ExampleListener() {
	client, err := keys.GenerateIdentity("client")
	if err != nil {
		log.Fatal(err)
	}
	server, err := keys.GenerateIdentity("server")
	if err != nil {
		log.Fatal(err)
	}
	listener, err := netconn.Listen(e2e.ServerConfig{
		Identity: server,
		Verifier: trust.Pinned(client.Fingerprint()),
		Protocol: "http/1",
	})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(listener) // or http.Handle("/inside", listener)
	defer web.Close()
	inside := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session := r.Context().Value(sessionKey{}).(*e2e.Session)
			fmt.Fprintf(w, "%s for %s", r.URL.Path, session.Peer().Name())
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, sessionKey{}, c.(*netconn.Conn).Session())
		},
	}
	go inside.Serve(listener)
	defer inside.Close()

	through := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			session, err := e2e.Dial(ctx, web.URL, e2e.Config{
				Identity: client,
				Verifier: trust.Pinned(server.Fingerprint()),
				Protocol: "http/1",
			})
			if err != nil {
				return nil, err
			}
			return netconn.New(session), nil
		},
	}}
	defer through.CloseIdleConnections()
	answer, err := through.Get("http://server/greeting")
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", body)
	// Output: /greeting for client
}
