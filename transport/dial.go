//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

// DialOptions changes how [Dial] connects. Nil means the zero value.
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

	// Header is added to the handshake request. Over ws:// Authorization,
	// Proxy-Authorization and Cookie are refused, because everybody on the way
	// would read them; Development allows them on this machine. Not in browsers.
	Header http.Header

	// TLSConfig is used for wss://: roots, client certificates and so on. It is
	// cloned; a minimum version below 1.2 becomes 1.2. Nil means the defaults
	// of crypto/tls. Not in browsers.
	TLSConfig *tls.Config
}

// Dial connects to a WebSocket server. The URL starts with wss:// or ws://;
// https:// and http:// mean the same.
//
// The context bounds the dial only, not the life of the connection, and a dial
// takes at most 30 seconds. Every error is a [*DialError]: one line that says
// what to do, with a method Permanent() bool.
func Dial(ctx context.Context, rawURL string, opts *DialOptions) (Conn, error) {
	u, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &DialOptions{}
	}
	if problem := cleartextProblem(u, opts.Policy, opts.Sealed, opts.RequireTLS); problem != "" {
		return nil, &DialError{Target: shown(u), Problem: problem, permanent: true}
	}
	if name := exposed(u, opts); name != "" {
		return nil, &DialError{Target: shown(u), permanent: true,
			Problem: "the header " + name + " would cross the network in the clear: use wss://, or leave it out"}
	}
	warnCleartext(u)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return dial(ctx, u, opts)
}

func dial(ctx context.Context, u *url.URL, opts *DialOptions) (Conn, error) {
	var socket net.Conn
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { socket = got.Conn },
	})
	ws, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient:      newClient(u, opts.TLSConfig),
		HTTPHeader:      opts.Header.Clone(),
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, explain(ctx, u, resp, err)
	}
	info := Info{Kind: u.Scheme, Local: socket.LocalAddr().String(), Remote: socket.RemoteAddr().String()}
	return newConn(ws, socket, info, opts.MaxMessage, opts.KeepAlive), nil
}

// newClient returns an HTTP client for a single upgrade. It shares nothing with
// http.DefaultClient, which follows redirects and speaks to proxies in the clear.
func newClient(u *url.URL, conf *tls.Config) *http.Client {
	if conf = conf.Clone(); conf == nil {
		conf = &tls.Config{}
	}
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	conf.NextProtos = []string{"http/1.1"} // there is no upgrade in HTTP/2
	t := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
	if u.Scheme == "wss" {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exposed returns the name of a credential among the headers that a dial of u
// would send over a network in the clear (requirement A48), or "".
func exposed(u *url.URL, opts *DialOptions) string {
	if u.Scheme != "ws" || localOnly(u, opts.Policy) {
		return ""
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		if len(opts.Header.Values(name)) > 0 {
			return name
		}
	}
	return ""
}
