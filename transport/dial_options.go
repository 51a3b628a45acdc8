//go:build !js

package transport

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// DialOptions changes how [Dial] connects. Nil means the zero value. Several dials may use one
// value at a time; what it points to must not change meanwhile.
type DialOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage.
	MaxMessage int

	// KeepAlive is the time between pings, which detect while a Read waits that the server is gone.
	// Zero means DefaultKeepAlive, a negative value no pings. Not in browsers.
	KeepAlive time.Duration

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that a layer above, such as package e2e, seals everything that crosses this link.
	// Then ws:// is allowed. Set it for no other reason.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool

	// Header is added to the handshake request. Over ws:// Dial refuses Authorization and Cookie,
	// because everybody on the way would read them; with Policy Development it allows them on this
	// machine. It always refuses Proxy-Authorization and the headers that the handshake sets
	// itself. Not in browsers.
	Header http.Header

	// BearerToken is sent to the server as "Authorization: Bearer", if it is not empty. The rules
	// for Header hold for it too. Not in browsers.
	BearerToken string

	// Jar holds cookies, such as those by which a load balancer leads a client back to the same
	// server. It is not used over ws://, unless Development allows it. Nil means no cookies. Not in
	// browsers, which have their own.
	Jar http.CookieJar

	// Subprotocols are offered to the server in order of preference. The Info of the connection has
	// the one that the server chose, if it chose any.
	Subprotocols []string

	// TLS is used for wss://. Nil means its zero value. Not in browsers.
	TLS *TLSOptions

	// Proxy returns the URL of the proxy for a target, or nil for none. The target has only scheme
	// (ws or wss) and host. Proxies are
	//
	//	http://   an HTTP proxy, asked to CONNECT (RFC 9110, section 9.3.6)
	//	https://  the same inside TLS
	//	socks5:// a SOCKS5 proxy (RFC 1928), which looks the name up
	//
	// User name and password in that URL are sent to the proxy and to nobody else. Nil means the
	// environment, as golang.org/x/net/http/httpproxy reads it: HTTPS_PROXY for wss, HTTP_PROXY for
	// ws, ALL_PROXY if that one is not set, and none if NO_PROXY lists the host. The DialError
	// shows the text of Proxy's error, unless that is an [*url.Error]. Not in browsers.
	Proxy func(ctx context.Context, target *url.URL) (*url.URL, error)

	// ProxyAuth answers the challenges of an HTTP proxy that wants more than a password, such as
	// Digest or Negotiate. It gets the proxy's URL, with the user in it, and the values of
	// Proxy-Authenticate, which are none before the first request. It returns the value of
	// Proxy-Authorization, or "" for none. Dial calls it five times at most, and treats its error
	// like that of Proxy. Nil sends user and password of the URL (Basic).
	ProxyAuth func(ctx context.Context, proxy *url.URL, challenges []string) (string, error)

	// ProxyTLS is used for an https:// proxy. Nil means its zero value.
	ProxyTLS *TLSOptions

	// InsecureProxyPassword allows sending a password or a bearer token to an http:// or socks5://
	// proxy on another machine, although everybody on the way can read it.
	InsecureProxyPassword bool

	// Network is "tcp4" or "tcp6" to use IPv4 or IPv6 only. Empty or "tcp" means both: Dial tries
	// the next address a quarter of a second after the last one (RFC 8305).
	Network string

	// Timeouts bounds the phases of a dial. Not in browsers.
	Timeouts DialTimeouts

	// Notify is called with each phase that has ended, in order. It runs on its own goroutine, so
	// it may take its time: if it is slow, it misses events. If it panics, the log says so. Not in
	// browsers.
	Notify func(DialEvent)
}

// DialTimeouts bounds each phase of a dial. Zero means 10 seconds. The whole dial takes 30 seconds
// at most, and no longer than its context.
type DialTimeouts struct {
	Connect time.Duration // DNS and TCP
	Proxy   time.Duration // until the proxy has connected to the target
	TLS     time.Duration // the handshake
	Upgrade time.Duration // until the server has answered
}

// phaseTimeout bounds a phase for which DialTimeouts is zero.
const phaseTimeout = 10 * time.Second
