package adapt_test

import (
	"context"
	"fmt"
	"net"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
)

// Messages over any net.Conn. Package e2e takes the result like every other Conn.
func ExampleFromNetConn() {
	one, other := net.Pipe() // or two ends of TCP, TLS, a Unix socket
	server := adapt.FromNetConn(other, nil)
	go func() {
		msg, err := server.Read(context.Background(), nil)
		if err != nil {
			return
		}
		server.Write(context.Background(), append([]byte("you said "), msg...))
		server.Read(context.Background(), nil) // until the client closes
	}()

	ctx := context.Background()
	client := adapt.FromNetConn(one, nil)
	defer client.Close(transport.CodeNormal, "")
	if err := client.Write(ctx, []byte("hello")); err != nil {
		fmt.Println(err)
	}
	msg, err := client.Read(ctx, nil)
	fmt.Printf("%s %v\n", msg, err)
	// Output: you said hello <nil>
}

// A net.Conn over a Conn, for a protocol that needs one.
func ExampleNetConn() {
	a, b := transport.Pipe() // or a WebSocket
	client, server := adapt.NetConn(a), adapt.NetConn(b)
	defer client.Close()
	go func() {
		defer server.Close()
		fmt.Fprintln(server, "220 ready")
	}()
	var code int
	var text string
	_, err := fmt.Fscanln(client, &code, &text)
	fmt.Println(code, text, err)
	// Output: 220 ready <nil>
}
