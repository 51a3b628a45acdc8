//go:build !js

package transport

import (
	"context"
	"net/netip"
	"time"
)

// AcceptOptions changes whom and what [Accept] accepts. Nil means the zero value.
type AcceptOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage.
	MaxMessage int

	// Origins lists the origins, besides the server's own, whose pages may connect. An origin is
	// scheme, host and, if it is not the scheme's default, port, such as "https://app.example.com".
	// The server's own origin is http or https with the Host header. A front that terminates TLS or
	// rewrites Host changes both: list it in TrustedHops, or list the public origin here.
	Origins []string

	// Hosts lists the names by which clients reach this server, such as "app.example.com"; a
	// request for any other name gets 421. If an entry has a port, the port must match too; a
	// client that leaves the port out means 443 or 80. "*.example.com" stands for all names below
	// example.com, and "*" for every name. The name is that of the Host header, or the one that the
	// hops in TrustedHops pass on.
	//
	// If Hosts is empty, every name is accepted, except on a loopback address: a cleartext request
	// that comes from this machine, as far as the hops in TrustedHops tell, must ask for localhost,
	// a name below it, or a loopback address. Otherwise a web page could let its own name lead to
	// 127.0.0.1 and pass as this server's own origin (DNS rebinding).
	Hosts []string

	// TrustedHops lists the addresses of the reverse proxies and load balancers in front of this
	// server. If a request comes from one of them, Accept believes what the headers Forwarded (RFC
	// 7239) or X-Forwarded-For, -Proto and -Host say about the client: it reads them from the
	// right, as far as the list reaches. From anybody else it ignores them. Each hop has to write
	// these headers: it appends to what it received, or replaces it. A request in which both kinds
	// of header disagree gets 400, so let the outermost hop remove the kind that no hop writes. The
	// peer is the RemoteAddr of the request, so no middleware may change that.
	TrustedHops []netip.Prefix

	// Authenticate, if set, decides who the client is before the client gets a connection. It has
	// 10 seconds. Nobody waits any longer; a call that takes longer keeps a goroutine, and one of
	// the 4,096 calls that a program may have. An error refuses the client: one that matches
	// [ErrUnauthorized] answers 401, [ErrForbidden] answers 403, and any other answers 503, because
	// a check that failed is no verdict. An [*UnavailableError] says when the client may come back;
	// otherwise that is after 5 seconds. Authenticate also decides about clients without a
	// credential. Accept refuses credentials that come without TLS and does not ask Authenticate.
	// Do not repeat credentials in errors.
	Authenticate func(ctx context.Context, c *Caller) (Grant, error)

	// AuthCookie names a cookie whose value is the bearer token if the request holds no other.
	// Browsers send cookies for any page, so the cookie counts only together with an Origin that is
	// this server's own or listed; without an Origin the request is refused. Give the cookie a name
	// that starts with "__Host-": other hosts of the same domain cannot set such a cookie.
	AuthCookie string

	// TrustClientCert says that the hops in TrustedHops verify clients' certificates, and always
	// write or remove the header Client-Cert (RFC 9440), so that Authenticate may rely on it. If a
	// hop passes the header on, anybody can come in with somebody else's certificate.
	TrustClientCert bool

	// Subprotocols lists the subprotocols that this server speaks, in order of preference. Accept
	// chooses the first one that the client offers too, see Info.Subprotocol. If there is none in
	// common, the connection has none, and a browser that offered some gives it up.
	Subprotocols []string

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that a layer above, such as package e2e, seals everything that crosses this link.
	// Then Accept takes ws://. Set it for no other reason.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool

	// KeepAlive is the time between pings. They detect while a Read waits that the client is gone,
	// and keep proxies from forgetting the connection. Zero means DefaultKeepAlive, a negative
	// value no pings.
	KeepAlive time.Duration

	// Gate limits how many clients connect and what they may do, and reports what they did. Nil
	// means no limits besides the others here.
	Gate *Gate
}
