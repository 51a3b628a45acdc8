//go:build !js

package transport_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/hopseal/hopseal/transport"
)

// A server that sends everything back, and a client.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, nil)
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
	conn, err := transport.Dial(ctx, server.URL, nil)
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
