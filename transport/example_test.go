//go:build !js

package transport_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/hopseal/hopseal/transport"
)

// A server that sends everything back, and a client.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development})
		if err != nil {
			return // Accept has answered the request
		}
		defer conn.Close(transport.CodeNormal, "")
		for {
			msg, err := conn.Read(context.Background(), nil)
			if err != nil {
				return
			}
			if conn.Write(context.Background(), msg) != nil {
				return
			}
		}
	}))
	defer server.Close()

	ctx := context.Background()
	conn, err := transport.Dial(ctx, server.URL, &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	if err := conn.Write(ctx, []byte("anybody on the way can read this")); err != nil {
		log.Fatal(err)
	}
	msg, err := conn.Read(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(msg))
	// Output: anybody on the way can read this
}

// A pipe with a hop that changes what passes.
func ExamplePipe() {
	censor := func(msg []byte) [][]byte {
		if string(msg) == "secret" {
			return nil
		}
		return [][]byte{msg}
	}
	a, b := transport.Pipe(transport.WithFaults(censor, nil))
	ctx := context.Background()
	for _, word := range []string{"hello", "secret", "world"} {
		if err := a.Write(ctx, []byte(word)); err != nil {
			log.Fatal(err)
		}
	}
	a.Close(transport.CodeNormal, "done")
	for {
		msg, err := b.Read(ctx, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(msg))
	}
	// Output:
	// hello
	// world
	// transport: the peer closed the connection: normal closure (1000) "done"
}

// A client in a network of its own: a private authority, a client certificate that is
// renewed, a proxy, and a look at what came of it.
func ExampleDial() {
	opts := &transport.DialOptions{
		BearerToken: "mF_9.B5f-4.1JqM",
		TLS: &transport.TLSOptions{
			RootsPEM: []byte("-----BEGIN CERTIFICATE-----\n..."),
			CertFile: "/etc/app/client.crt",
			KeyFile:  "/etc/app/client.key",
		},
		Proxy: func(_ context.Context, target *url.URL) (*url.URL, error) {
			if strings.HasSuffix(target.Hostname(), ".internal") {
				return nil, nil
			}
			return url.Parse("https://user:password@proxy.example:3128")
		},
		Notify: func(e transport.DialEvent) {
			if e.TLS != nil {
				log.Printf("%v with %s took %v: %s, resumed %v", e.Phase, e.Target, e.Took, e.TLS.Version, e.TLS.Resumed)
			}
		},
	}
	_, err := transport.Dial(context.Background(), "wss://service.example/socket", opts)
	fmt.Println(err)
	var failed *transport.DialError
	if errors.As(err, &failed) {
		fmt.Println(failed.Phase, failed.Permanent())
	}
	// Output:
	// transport: cannot dial wss://service.example: TLSOptions.RootsPEM cannot be read: it should be lines from -----BEGIN CERTIFICATE----- on
	// none true
}
