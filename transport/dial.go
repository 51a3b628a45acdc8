//go:build !js

package transport

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
	"github.com/hopseal/hopseal/transport/internal/dialtrace"
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
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := newDialer(u, opts)
	if trace := dialtrace.From(ctx); trace != nil {
		d.trace = func(e DialEvent) { trace(e) }
	}
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// A dialer makes one connection, phase by phase: prepare, then link, which reaches,
// tunnels and secures, then upgrade.
type dialer struct {
	target *url.URL
	host   string // of target, in ASCII
	proxy  *url.URL
	opts   *DialOptions
	info   Info
	socket net.Conn   // to the next hop, below everything
	tls    *tlsConfig // of the handshake with the target
	events *notify.Notifier[DialEvent]
	trace  func(DialEvent) // told at once; nil if nobody listens

	answered []string // see DialEvent, of the phase under way
}

func newDialer(target *url.URL, opts *DialOptions) *dialer {
	return &dialer{target: target, opts: opts, info: Info{Kind: target.Scheme},
		events: &notify.Notifier[DialEvent]{Name: "transport: DialOptions.Notify", Call: opts.Notify,
			Note: func(e *DialEvent, missed int) { e.Missed = missed }}}
}

func (d *dialer) dial(ctx context.Context) (conn *wsConn, err error) {
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if conn == nil && d.socket != nil {
			d.socket.Close() // a phase that fails has done it, one in which a hook panics has not
		}
	}()
	socket, err := d.link(ctx)
	if err != nil {
		return nil, err
	}
	return d.upgrade(ctx, socket)
}

// prepare checks everything that can be checked before the first packet, and
// chooses the proxy.
func (d *dialer) prepare(ctx context.Context) error {
	host, problem := asciiHost(d.target)
	d.host = host
	problem = cmp.Or(problem, badHeader(d.opts), badNetwork(d.opts.Network),
		cleartextProblem(d.target, d.opts.Policy, d.opts.Sealed, d.opts.RequireTLS), exposed(d.target, d.opts))
	if problem != "" {
		return d.refuse(problem)
	}
	if d.target.Scheme == "wss" {
		var err error
		if d.tls, err = d.opts.TLS.config(d.host); err != nil {
			return d.refuse(err.Error())
		}
	}
	if err := d.chooseProxy(ctx); err != nil {
		return err
	}
	if d.trace == nil { // a diagnosis says it itself
		warnCleartext(d.target)
	}
	return nil
}

// refuse is for what is wrong before anything is sent.
func (d *dialer) refuse(problem string) error {
	return &DialError{Target: shown(d.target), Proxy: d.info.Proxy, Problem: problem, permanent: true}
}

// link returns a connection to the target: plain for ws, with TLS for wss.
func (d *dialer) link(ctx context.Context) (net.Conn, error) {
	var conn net.Conn
	var err error
	if d.proxy == nil {
		conn, err = d.reach(ctx, d.target, d.host)
	} else {
		conn, err = d.tunnel(ctx)
	}
	if err != nil || d.target.Scheme != "wss" {
		return conn, err
	}
	return d.secure(ctx, conn)
}

// in runs a phase: it bounds its time, completes its error and tells Notify. A
// failed phase has closed the connection that it was given.
func (d *dialer) in(ctx context.Context, phase Phase, limit time.Duration, do func(context.Context, *DialEvent) *DialError) error {
	ctx, cancel := withPhaseTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	e := DialEvent{Phase: phase, Target: shown(d.target), Proxy: d.info.Proxy}
	d.answered = nil
	e.Err = do(ctx, &e)
	e.Answered = d.answered
	e.Took = time.Since(begin)
	if e.Err != nil {
		e.Err.Phase, e.Err.Target, e.Err.Proxy = phase, e.Target, e.Proxy
	}
	d.events.Emit(e)
	if d.trace != nil {
		d.trace(e)
	}
	if e.Err == nil {
		return nil
	}
	return e.Err
}

// withPhaseTimeout bounds ctx by one of DialTimeouts.
func withPhaseTimeout(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		limit = phaseTimeout
	}
	return context.WithTimeout(ctx, limit)
}

// failure is the error of a phase whose cause may be shown.
func failure(problem string, permanent bool, cause error) *DialError {
	return &DialError{Problem: problem, permanent: permanent, err: cause}
}

// unblock makes what waits for conn fail when ctx ends. Before conn is used
// otherwise, done has to be called, which reports whether ctx has not ended.
func unblock(ctx context.Context, conn net.Conn) (done func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}
