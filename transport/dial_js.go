package transport

import (
	"context"
	"net/url"
	"syscall/js"

	"github.com/hopseal/hopseal/internal/safetext"
)

// DialOptions changes how [Dial] connects. Nil means the zero value. The options for programs
// outside of browsers have more fields: a page cannot decide about those.
type DialOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means DefaultMaxMessage. The
	// browser receives a larger message as a whole before it is refused.
	MaxMessage int

	// Policy says what may cross a link without TLS. Zero means Production.
	Policy Policy

	// Sealed says that a layer above, such as package e2e, seals everything that crosses this link.
	// Then ws:// is allowed. Set it for no other reason.
	Sealed bool

	// RequireTLS refuses ws://, Sealed or not.
	RequireTLS bool

	// Subprotocols are offered to the server in order of preference. The Info of the connection has
	// the one that the server chose. A browser gives up a connection whose server chose none of
	// them. A token goes as [BearerSubprotocol], over wss:// only.
	Subprotocols []string
}

// Dial connects to a WebSocket server through the browser. The URL starts with wss:// or ws://;
// https:// and http:// mean the same.
//
// The context bounds the dial, not the life of the connection. A dial takes at most 30 seconds.
// Every error is a [*DialError]. It cannot say much, because a browser does not tell a page why a
// connection failed. Dial waits, so it must not be called in a js.Func.
func Dial(ctx context.Context, rawURL string, opts *DialOptions) (Conn, error) {
	u, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &DialOptions{}
	}
	if problem := cleartextProblem(u, opts.Policy, opts.Sealed, opts.RequireTLS); problem != "" {
		return nil, &DialError{Target: safeTarget(u), Problem: problem, permanent: true}
	}
	if problem := exposedToken(u, opts); problem != "" {
		return nil, &DialError{Target: safeTarget(u), Problem: problem, permanent: true}
	}
	limit := DefaultMaxMessage
	if opts.MaxMessage > 0 {
		limit = opts.MaxMessage
	}
	socket, err := newSocket(u, opts.Subprotocols)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c := newConn(socket, Info{Kind: u.Scheme, Remote: safetext.Line(u.Host, shownTarget)}, limit)
	select {
	case <-c.opened:
		c.info.Subprotocol = agreed(socket.Get("protocol").String())
		return c, nil
	case <-c.end.done:
		c.release()
		return nil, &DialError{Target: safeTarget(u), Problem: "the browser could not connect: is the server running, and is this page allowed there? The browser's console may say more"}
	case <-ctx.Done():
		c.finish(gaveUp(ctx.Err()))
		return nil, &DialError{Target: safeTarget(u), Problem: explainContext(ctx.Err()), err: ctx.Err()}
	}
}

// newSocket begins to connect a WebSocket of the browser.
func newSocket(u *url.URL, subprotocols []string) (socket js.Value, err error) {
	constructor := js.Global().Get("WebSocket")
	if constructor.IsUndefined() {
		return socket, &DialError{Target: safeTarget(u), permanent: true,
			Problem: "this JavaScript runtime has no WebSocket: use a browser, or Node 22 or later"}
	}
	defer func() {
		if thrown := recover(); thrown != nil {
			e, ok := thrown.(js.Error)
			if !ok {
				panic(thrown)
			}
			err = &DialError{Target: safeTarget(u), permanent: true, Problem: explainRefusal(e)}
		}
	}()
	offers := make([]any, len(subprotocols))
	for i, name := range subprotocols {
		offers[i] = name
	}
	socket = constructor.New(u.String(), offers)
	socket.Set("binaryType", "arraybuffer")
	return socket, nil
}

// explainRefusal returns why a browser does not even begin to connect. The browser's own text may
// hold the URL.
func explainRefusal(e js.Error) string {
	if e.Value.Get("name").String() == "SyntaxError" {
		return "the browser refuses Subprotocols: each has to be a name without spaces and separators, and stand there once"
	}
	return "the browser refuses the URL: a page that came over https may only open wss://"
}

// exposedToken returns that a token would cross the network in the clear (requirement A48), or "".
func exposedToken(u *url.URL, opts *DialOptions) string {
	if u.Scheme == "wss" || localOnly(u, opts.Policy) {
		return ""
	}
	if holdsToken(opts.Subprotocols) {
		return "the bearer token in Subprotocols would cross the network in the clear: use wss://, or leave it out"
	}
	return ""
}

// explainContext explains a dial whose context ended.
func explainContext(err error) string {
	if err == context.Canceled {
		return "the dial was cancelled"
	}
	return "no answer in time: check the address, and any firewall"
}
