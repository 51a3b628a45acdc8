package transport

import (
	"context"
	"net/url"
	"syscall/js"

	"github.com/hopseal/hopseal/internal/safetext"
)

// DialOptions changes how [Dial] connects. Nil means the zero value. What else a
// dial can be told outside of browsers, a page cannot.
type DialOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage. The browser has received a larger one whole before it
	// is refused.
	MaxMessage int

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that everything that will cross this link is sealed above it,
	// as package e2e does. Then ws:// is allowed, for nothing else.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool
}

// Dial connects to a WebSocket server through the browser. The URL starts with
// wss:// or ws://; https:// and http:// mean the same.
//
// The context bounds the dial only, not the life of the connection, and a dial
// takes at most 30 seconds. Every error is a [*DialError], which cannot say
// much: a browser keeps from a page why a connection failed. Like everything
// that waits, Dial must not be called in a js.Func.
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
	limit := DefaultMaxMessage
	if opts.MaxMessage > 0 {
		limit = opts.MaxMessage
	}
	socket, err := newSocket(u)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c := newConn(socket, Info{Kind: u.Scheme, Remote: safetext.Line(u.Host, shownTarget)}, limit)
	select {
	case <-c.opened:
		return c, nil
	case <-c.end.done:
		c.release()
		return nil, &DialError{Target: shown(u), Problem: "the browser could not connect: is the server running, and is this page allowed there? The browser's console may say more"}
	case <-ctx.Done():
		c.finish(gaveUp(ctx.Err()))
		return nil, &DialError{Target: shown(u), Problem: explainContext(ctx.Err()), err: ctx.Err()}
	}
}

// newSocket begins to connect a WebSocket of the browser.
func newSocket(u *url.URL) (socket js.Value, err error) {
	constructor := js.Global().Get("WebSocket")
	if constructor.IsUndefined() {
		return socket, &DialError{Target: shown(u), permanent: true,
			Problem: "this JavaScript runtime has no WebSocket: use a browser, or Node 22 or later"}
	}
	defer func() {
		if thrown := recover(); thrown != nil {
			if _, ok := thrown.(js.Error); !ok {
				panic(thrown)
			}
			err = &DialError{Target: shown(u), permanent: true,
				Problem: "the browser refuses the URL: a page that came over https may only open wss://"}
		}
	}()
	socket = constructor.New(u.String())
	socket.Set("binaryType", "arraybuffer")
	return socket, nil
}

// explainContext is for a dial whose context ended.
func explainContext(err error) string {
	if err == context.Canceled {
		return "the dial was cancelled"
	}
	return "no answer in time: check the address, and any firewall"
}
