//go:build !js

package transport

import (
	"cmp"
	"net"
	"net/http"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/internal/hops"
)

// An incoming is a request that may become a connection.
type incoming struct {
	from   hops.Route
	origin string // the origin of a browser's page, or ""
	grant  Grant
}

func (e incoming) info(r *http.Request, socket net.Conn) Info {
	return Info{
		Kind:   kindOf(e.from),
		Local:  socket.LocalAddr().String(),
		Remote: safetext.Line(nextHop(r), shownTarget),
		Client: e.from.Address(r),
		Origin: e.origin,

		Principal: e.grant.Principal,
		Expires:   e.grant.Expires,

		TLS: describeTLS(r.TLS),
	}
}

func nextHop(r *http.Request) string { return cmp.Or(hops.TunnelOf(r).Hop, r.RemoteAddr) }

func kindOf(from hops.Route) string {
	if from.Secure {
		return "wss"
	}
	return "ws"
}
