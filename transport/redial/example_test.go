//go:build !js

package redial_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A server that is overloaded at first.
func ExamplePolicy() {
	var dials atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dials.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development})
		if err != nil {
			return // Accept has answered the request
		}
		conn.Close(transport.CodeNormal, "")
	}))
	defer server.Close()

	retry := redial.Policy{
		Base:    10 * time.Millisecond, // the default is kinder to a server
		MaxTime: time.Minute,
	}
	conn, err := retry.Dial(context.Background(), func(ctx context.Context) (transport.Conn, error) {
		return transport.Dial(ctx, server.URL, &transport.DialOptions{Policy: transport.Development})
	})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	fmt.Println("dials:", dials.Load())
	// Output: dials: 2
}

// A client that keeps a link, over which a server sends. The server is restarted
// once, and in the end has said everything.
func ExampleRedialer() {
	var connections atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development})
		if err != nil {
			return // Accept has answered the request
		}
		if connections.Add(1) == 1 {
			conn.Write(context.Background(), []byte("hello"))
			conn.Close(transport.CodeGoingAway, "restarting")
			return
		}
		conn.Write(context.Background(), []byte("hello again"))
		conn.Close(transport.CodeNormal, "that was all")
	}))
	defer server.Close()

	ctx := context.Background()
	d := redial.New(redial.Policy{Base: 10 * time.Millisecond}, func(ctx context.Context) (transport.Conn, error) {
		return transport.Dial(ctx, server.URL, &transport.DialOptions{Policy: transport.Development})
	})
	conn, err := d.Next(ctx, nil)
	for err == nil {
		msg, why := conn.Read(ctx, nil)
		if why == nil {
			fmt.Println(string(msg))
			continue
		}
		conn, err = d.Next(ctx, why)
	}
	fmt.Println(err)
	// Output:
	// hello
	// hello again
	// transport: gave up since trying again would not help: the peer closed the connection: normal closure (1000) "that was all"
}
