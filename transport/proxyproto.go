//go:build !js

package transport

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// ClientAddr returns the IP address of the client that made a request, as Accept
// shows it in Info.Client: the peer's, or what the listed hops tell, see
// TrustedHops in [AcceptOptions]. It is for limits and logs of other handlers
// beside Accept. Where the peer has no IP address, as on a Unix socket, it returns
// what the request gives for one.
func ClientAddr(r *http.Request, trusted []netip.Prefix) string {
	from, _ := hops.Trace(r, trusted) // the peer, if the hops make no sense
	return from.Address(r)
}

// proxyTimeout bounds the wait for a PROXY header where an option does not say otherwise.
const proxyTimeout = 5 * time.Second

// ProxyProtocol says who may send PROXY headers.
type ProxyProtocol struct {
	// Hops lists the addresses of the load balancers in front of this server.
	// Each of their connections has to begin with a header.
	Hops []netip.Prefix

	// AllowDirect lets others connect too, as themselves: a header of theirs is
	// taken for what it is, garbage. By default they are refused, since they go
	// past the load balancer and its limits.
	AllowDirect bool

	// Timeout is how long a hop may take for the header. Zero means 5 seconds.
	Timeout time.Duration

	// OnRefuse is told why connections were cut before anybody saw them. It may be
	// slow: calls come one after the other, and of more than 16 that wait the oldest
	// are left out. Nil logs "connection refused" to [slog.Default] at level warn:
	// one line a minute at most, about the latest, with their number. Silence is a
	// function that does nothing.
	OnRefuse func(error)
}

// ListenProxy returns a listener that takes the connections of l, which load
// balancers make on behalf of clients, and reads the PROXY header (version 1 or 2)
// in front of each. RemoteAddr of such a connection is the client's address.
// Accept in this package also knows from it which hop is next, and whether the
// client spoke TLS with that (the TLS value of version 2, in HAProxy
// send-proxy-v2-ssl). TLS of this server goes on top:
//
//	tls.NewListener(proxied, config)
//
// That is the client's TLS, which passes the hop unopened, or the hop's where the
// header says that the client spoke TLS with the hop. A hop must not speak TLS with
// this server for clients that spoke none: theirs would be taken for it.
//
// A header that is missing, late, malformed or of another protocol than TCP ends
// its connection. Closing the listener closes l.
func ListenProxy(l net.Listener, opts ProxyProtocol) (net.Listener, error) {
	switch {
	case len(opts.Hops) == 0:
		return nil, errors.New("transport: ProxyProtocol.Hops is empty: list the addresses of the load balancers")
	case opts.Timeout < 0:
		return nil, errors.New("transport: ProxyProtocol.Timeout is negative")
	case opts.Timeout == 0:
		opts.Timeout = proxyTimeout
	}
	if opts.OnRefuse == nil {
		opts.OnRefuse = logCut(slog.Default())
	}
	return hops.Listen(l, hops.ListenOptions(opts)), nil
}
