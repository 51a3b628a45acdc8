//go:build !js

package hostile

import (
	"context"
	"net/http"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A Hop is what the attacker does to one connection. It sees each frame, and returns
// the frames that go on instead, see [transport.Fault]. A nil Fault changes nothing.
// The frames are those of package frame.
type Hop struct {
	FromClient transport.Fault
	ToClient   transport.Fault
}

// Inject sends a frame to a client as if it came from the relay, at any time. The frame
// does not pass the Hop. An error means that the client is gone.
type Inject func(frame []byte) error

// Relay returns a handler that serves hub with an attacker on each connection. It
// calls meet when a client connects. The Hops of meet may share what they see.
func Relay(hub *relay.Hub, opts *transport.AcceptOptions, meet func(Inject) Hop) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, err := transport.Accept(w, r, opts)
		if err != nil {
			return
		}
		hop := meet(func(frame []byte) error { return client.Write(context.Background(), frame) })
		near, far := transport.Pipe(transport.WithFaults(hop.FromClient, hop.ToClient))
		go hub.ServeConn(far)
		go pass(near, client)
		pass(client, near)
	})
}

// pass moves messages from one connection to another until either ends. Then it ends
// both.
func pass(from, to transport.Conn) {
	for {
		msg, err := from.Read(context.Background(), nil)
		if err == nil {
			err = to.Write(context.Background(), msg)
		}
		if err != nil {
			from.Close(transport.CodeGoingAway, "")
			to.Close(transport.CodeGoingAway, "")
			return
		}
	}
}
