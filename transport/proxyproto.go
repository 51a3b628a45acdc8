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

// ClientAddr returns the IP address of the client that made a request, as Accept shows it in
// Info.Client: the peer's, or the one that the listed hops pass on, see TrustedHops in
// [AcceptOptions]. It is for limits and logs of other handlers. If the peer has no IP address, as
// on a Unix socket, it returns the request's RemoteAddr.
func ClientAddr(r *http.Request, trusted []netip.Prefix) string {
	from, _ := hops.Trace(r, trusted) // falls back to the peer if the hops contradict each other
	return from.Address(r)
}

// proxyTimeout is the default of ProxyProtocol.Timeout.
const proxyTimeout = 5 * time.Second

// ProxyProtocol says who may send PROXY headers.
type ProxyProtocol struct {
	// Hops lists the addresses of the load balancers in front of this server. Each of their
	// connections has to begin with a header.
	Hops []netip.Prefix

	// AllowDirect lets others connect directly, too. Their own address counts, and a PROXY header
	// from them is garbage. By default they are refused, because they bypass the load balancer and
	// its limits.
	AllowDirect bool

	// Timeout is how long a hop may take for the header. Zero means 5 seconds.
	Timeout time.Duration

	// OnRefuse gets the reason why a connection was cut before any handler saw it. It may be slow:
	// calls come one after the other, and if more than 16 wait, the oldest are dropped. Nil logs
	// "connection refused" to [slog.Default] at level warn: at most one line a minute, about the
	// latest, with their number. For silence, set a function that does nothing.
	OnRefuse func(error)
}

// ListenProxy returns a listener that accepts the connections of l, which load balancers make on
// behalf of clients. It reads the PROXY header (version 1 or 2) at the beginning of each.
// RemoteAddr of such a connection is the client's address. From the header Accept also learns the
// next hop, and whether the client spoke TLS with that hop (the TLS value of version 2;
// send-proxy-v2-ssl in HAProxy). TLS of this server goes on top:
//
//	tls.NewListener(proxied, config)
//
// That TLS is the client's own, which the hop passes on unopened, unless the header says that the
// client spoke TLS with the hop: then it is the hop's. A hop must not speak TLS with this server
// for clients that spoke none, because it would pass as theirs.
//
// A header that is missing, late, malformed or of another protocol than TCP ends its connection.
// Closing the listener closes l.
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
