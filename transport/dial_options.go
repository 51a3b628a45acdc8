//go:build !js

package transport

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// DialOptions changes how [Dial] connects. Nil means the zero value. One value may
// be used by several dials at a time; what it points to must not change meanwhile.
type DialOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage.
	MaxMessage int

	// KeepAlive is the time between pings, which notice that the server is
	// gone while a Read waits. Zero means DefaultKeepAlive, a negative value
	// no pings. Not in browsers.
	KeepAlive time.Duration

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that everything that will cross this link is sealed above it,
	// as package e2e does. Then ws:// is allowed, for nothing else.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool

	// Header is added to the handshake request. Over ws:// Authorization and
	// Cookie are refused, because everybody on the way would read them;
	// Development allows them on this machine. Proxy-Authorization and what the
	// handshake itself needs are always refused. Not in browsers.
	Header http.Header

	// BearerToken is sent to the server as "Authorization: Bearer", if it is not
	// empty. The same rules hold for it. Not in browsers.
	BearerToken string

	// Jar holds cookies, such as those with which a load balancer leads a client
	// back to the same server. Over ws:// it is not used, unless Development
	// allows it. Nil means no cookies. Not in browsers, which have their own.
	Jar http.CookieJar

	// Subprotocols are offered to the server, the preferred one first. What it
	// chose is in the Info of the connection, and may be nothing.
	Subprotocols []string

	// TLS is for wss://. Nil means its zero value. Not in browsers.
	TLS *TLSOptions

	// Proxy returns the URL of the proxy through which to reach the target, or
	// nil for none. The target has scheme (ws or wss) and host only. Proxies are
	//
	//	http://   an HTTP proxy, asked to CONNECT (RFC 9110, section 9.3.6)
	//	https://  the same inside TLS
	//	socks5:// a SOCKS5 proxy (RFC 1928), which looks the name up
	//
	// and a user name and a password in that URL are sent to the proxy and to
	// nobody else. Nil means the environment: HTTPS_PROXY for wss, HTTP_PROXY for
	// ws, where that is not set ALL_PROXY, unless NO_PROXY lists the host, as
	// golang.org/x/net/http/httpproxy reads them. The text of its error is shown,
	// unless that is of type [*url.Error]. Not in browsers.
	Proxy func(ctx context.Context, target *url.URL) (*url.URL, error)

	// ProxyAuth answers the challenges of an HTTP proxy that wants more than a
	// password, such as Digest or Negotiate. It gets the proxy's URL, with what
	// user it has, and the values of Proxy-Authenticate, none before the first
	// request; it returns the value of Proxy-Authorization, "" for none. It is
	// asked five times at most, and its error is treated as that of Proxy. Nil sends user and password of the URL (Basic).
	ProxyAuth func(ctx context.Context, proxy *url.URL, challenges []string) (string, error)

	// ProxyTLS is for a https:// proxy. Nil means its zero value.
	ProxyTLS *TLSOptions

	// InsecureProxyPassword sends a password or a bearer token to an http:// or
	// socks5:// proxy on another machine, although everybody on the way there can
	// read it.
	InsecureProxyPassword bool

	// Network is "tcp4" or "tcp6" to use IPv4 or IPv6 only. Empty or "tcp" means
	// both: the next address is tried a quarter of a second after the last one
	// (RFC 8305).
	Network string

	// Timeouts bounds the phases of a dial. Not in browsers.
	Timeouts DialTimeouts

	// Notify is told of every phase when it is over, in order and on a goroutine of
	// its own, so that it may take its time. If it is slow it misses events, if it
	// panics the log says so. Not in browsers.
	Notify func(DialEvent)
}

// DialTimeouts bounds the phases of a dial, each by itself. Zero means 10 seconds.
// The whole dial takes 30 seconds at most, and no longer than its context.
type DialTimeouts struct {
	Connect time.Duration // DNS and TCP
	Proxy   time.Duration // until the proxy has connected to the target
	TLS     time.Duration // the handshake
	Upgrade time.Duration // until the server has answered
}

// phaseTimeout is what a phase may take where DialTimeouts is zero.
const phaseTimeout = 10 * time.Second
