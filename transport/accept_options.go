//go:build !js

package transport

import (
	"context"
	"net/netip"
	"time"
)

// AcceptOptions changes whom and what [Accept] takes. Nil means the zero value.
type AcceptOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage.
	MaxMessage int

	// Origins lists the origins, beside the server's own, whose pages may
	// connect: scheme, host and, if it is not the scheme's own, port, such as
	// "https://app.example.com". The server's own origin is what the client
	// asked for: http or https, and the Host header. Something in front that
	// terminates TLS or rewrites Host changes both: list it in TrustedHops, or
	// the public origin here.
	Origins []string

	// Hosts lists the names by which clients reach this server, such as
	// "app.example.com"; any other gets 421, whoever asks for it. A port counts where
	// it is given, as 443 or 80 where the client leaves it out; "*.example.com" stands for all names below example.com, and "*"
	// for every name. What counts is the Host header, or what the hops in
	// TrustedHops say that the client asked for.
	//
	// If it is empty every name will do, except on a loopback address. There what
	// comes in the clear, from this machine as far as the hops in TrustedHops tell,
	// must have asked for localhost, a name below it, or a loopback address: web
	// pages can have their own names lead to 127.0.0.1, and would be this server's
	// own origin (DNS rebinding).
	Hosts []string

	// TrustedHops lists the addresses of the reverse proxies and load balancers
	// in front of this server. Where a request comes from one of them, what the
	// headers Forwarded (RFC 7239) or X-Forwarded-For, -Proto and -Host say about
	// the client counts, from the right as far back as the list reaches; from
	// anybody else they are ignored. Each hop has to write what it passes on: it
	// adds to what it got, or replaces it. Requests in which both kinds of header
	// arrive and disagree get 400, so make the outermost hop remove the one that
	// none of them writes. Who the peer is says the RemoteAddr of the request, so
	// no middleware may change that.
	TrustedHops []netip.Prefix

	// Authenticate, if set, is asked who the client is before it gets a
	// connection, and has 10 seconds for an answer. Nobody waits any longer: a call that
	// goes on keeps a goroutine, and one of 4,096 turns of the program. Nobody is let in with an
	// error: one that matches [ErrUnauthorized] makes it 401, [ErrForbidden] 403,
	// and any other 503, since a check that fails is no verdict: an
	// [*UnavailableError] says when to come back, and otherwise that is after 5 seconds. It has to decide
	// about clients that show no credential too. Credentials that come without
	// TLS are refused unasked. Do not repeat them in errors.
	Authenticate func(ctx context.Context, c *Caller) (Grant, error)

	// AuthCookie names a cookie whose value is taken for the bearer token where
	// the request holds no other. Browsers send cookies for any page, so it
	// counts only with an Origin, which has to be this server's own or listed;
	// without one the request is refused. Cookies that other hosts of the same
	// domain cannot set have names that start with "__Host-".
	AuthCookie string

	// TrustClientCert says that the hops in TrustedHops verify clients'
	// certificates, and always write or remove the header Client-Cert (RFC 9440),
	// so that Authenticate may rely on it. A hop that passes it on would let
	// anybody in with a certificate that is not his.
	TrustClientCert bool

	// Subprotocols lists the subprotocols that this server speaks, the preferred
	// one first. The first that the client offers too is chosen, see
	// Info.Subprotocol. Where there is none in common the connection has none,
	// which a browser that offered some does not take.
	Subprotocols []string

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that everything that will cross this link is sealed above it,
	// as package e2e does. Then ws:// is accepted, for nothing else.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool

	// KeepAlive is the time between pings, which notice that the client is gone
	// while a Read waits, and keep proxies from forgetting the connection. Zero
	// means DefaultKeepAlive, a negative value no pings.
	KeepAlive time.Duration

	// Gate bounds how many clients connect and what they may do, and tells what
	// they did. Nil means no bounds beside the others here.
	Gate *Gate
}
