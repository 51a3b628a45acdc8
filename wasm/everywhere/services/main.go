//go:build !js

// Command services is what the tests in wasm/everywhere connect to: a relay at /relay and a service that
// answers with what it gets at /echo. It serves pages of the origins that it is given, prints its address
// and its public identity in base64url, and ends with its input.
//
//	go run ./wasm/everywhere/services http://127.0.0.1:8000
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(origins []string) error {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	identity, err := keys.GenerateIdentity("services")
	if err != nil {
		return err
	}
	listener := &hop{Listener: inner}
	accept := transport.AcceptOptions{Policy: transport.Development, Origins: origins}
	config := e2e.ServerConfig{Identity: identity, Verifier: trust.InsecureAnyone(), Protocol: "echo/1", Accept: &accept}
	echo, err := e2e.NewServer(config, func(ctx context.Context, s *e2e.Session) error {
		return s.Serve(ctx, listener.echo(s), nil)
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/echo", echo)
	mux.Handle("/relay", relay.New(relay.Options{Accept: &accept, Origins: origins}))
	fmt.Printf("ws://%s %s\n", listener.Addr(), base64.RawURLEncoding.EncodeToString(identity.Public().Bytes()))
	go http.Serve(listener, mux)
	_, err = io.Copy(io.Discard, os.Stdin) // whoever started this has ended
	return err
}

// A hop can cut every connection that goes over it.
type hop struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (h *hop) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.conns = append(h.conns, conn)
	}
	return conn, err
}

func (h *hop) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, conn := range h.conns {
		conn.Close()
	}
	h.conns = nil
}

// echo answers requests of the type "echo", and "cut" by cutting; it sends messages back.
func (h *hop) echo(s *e2e.Session) e2e.Handler {
	return func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		switch {
		case r.OneWay:
			_, err := s.SendMessage(ctx, r.Type, r.Data)
			return nil, err
		case r.Type == "echo":
			return r.Data, nil
		case r.Type == "cut":
			h.cut()
			return nil, nil
		}
		return nil, e2e.Refuse(e2e.RefusedType, nil)
	}
}
