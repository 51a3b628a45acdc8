//go:build !js

// Package tap passes WebSocket connections on to a server and reports what it
// sees, for people who debug: it is a hop of their own on the way.
package tap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

// A Tap is an http.Handler that passes every WebSocket on to one server.
type Tap struct {
	// Target is the URL of the server. Its path and query are used for all.
	Target string

	// Dial is how the server is dialled. Its Header is added to that of each client,
	// in place of what has the same name there; Subprotocols are the client's.
	Dial transport.DialOptions

	// Origins are those of pages that may come, beside pages of this machine.
	Origins []string

	// Report is told what happens. It may be called by several goroutines.
	Report func(Event)

	count atomic.Int64
}

// A Kind is what an [Event] tells.
type Kind int

const (
	Opened  Kind = iota + 1 // both ends are connected
	Message                 // one message went by
	Closed                  // one end closed, or was lost: Err says how
	Failed                  // there was no connection: Err says why
)

// String returns the kind in a word.
func (k Kind) String() string {
	switch k {
	case Opened:
		return "open"
	case Message:
		return "message"
	case Closed:
		return "closed"
	}
	return "failed"
}

// An Event is something that a Tap saw.
type Event struct {
	Time     time.Time
	Conn     int64 // numbers the connections, from 1
	Kind     Kind
	ToServer bool           // the client's message, or the client's end
	Data     []byte         // the message, valid during the call
	Server   transport.Info // of the link to the server, once Opened
	Err      error
}

// ServeHTTP dials the server with what the client asks for, and only then accepts
// the client, so that both agree on a subprotocol.
func (t *Tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := link{tap: t, number: t.count.Add(1)}
	if origin := r.Header.Get("Origin"); !t.letsIn(origin) {
		l.report(Event{Kind: Failed, Err: fmt.Errorf("%w: %s", ErrPage, safetext.Quote(origin, 200))})
		http.Error(w, "the tap takes no pages from there: it says so where it runs", http.StatusForbidden)
		return
	}
	server, err := transport.Dial(r.Context(), t.Target, t.dialOptions(r))
	if err != nil {
		l.report(Event{Kind: Failed, ToServer: true, Err: err})
		http.Error(w, "the tap could not reach the server: it says why where it runs", http.StatusBadGateway)
		return
	}
	client, err := transport.Accept(w, r, acceptOptions(r, server.Info().Subprotocol, t.Dial.MaxMessage))
	if err != nil {
		server.Close(transport.CodeGoingAway, "")
		l.report(Event{Kind: Failed, Err: err})
		return
	}
	l.report(Event{Kind: Opened, Server: server.Info()})
	done := make(chan struct{})
	go func() { defer close(done); l.pass(server, client, false) }()
	l.pass(client, server, true)
	<-done
}

// ErrPage is matched by the error of a page that was not let in.
var ErrPage = errors.New("a page from elsewhere wants to use the tap")

// letsIn is asked before the dial, which has credentials of its own perhaps: any page
// on the web can have a browser on this machine connect to it, under a name of that
// page's choice.
func (t *Tap) letsIn(origin string) bool {
	u, err := url.Parse(origin)
	if origin == "" || err == nil && isLoopback(u.Hostname()) {
		return true
	}
	return slices.ContainsFunc(t.Origins, func(listed string) bool { return strings.EqualFold(listed, origin) })
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (t *Tap) dialOptions(r *http.Request) *transport.DialOptions {
	opts := t.Dial
	opts.Header = make(http.Header)
	for name, values := range r.Header {
		if passedOn(name) {
			opts.Header[name] = values
		}
	}
	for name, values := range t.Dial.Header {
		opts.Header[http.CanonicalHeaderKey(name)] = values
	}
	opts.Subprotocols = subprotocols(r)
	return &opts
}

// passedOn reports whether a header is the client's own. The others belong to one
// hop, or are made anew for the next handshake.
func passedOn(name string) bool {
	return !slices.Contains([]string{"Connection", "Upgrade", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Proxy-Authorization", "Proxy-Connection"}, name) &&
		!strings.HasPrefix(name, "Sec-Websocket-")
}

func subprotocols(r *http.Request) (names []string) {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// acceptOptions lets every page in that letsIn has, and the server.
func acceptOptions(r *http.Request, subprotocol string, maxMessage int) *transport.AcceptOptions {
	opts := &transport.AcceptOptions{Origins: r.Header.Values("Origin"), Hosts: []string{"*"}, Policy: transport.Development, MaxMessage: maxMessage}
	if subprotocol != "" {
		opts.Subprotocols = []string{subprotocol}
	}
	return opts
}

// A link is one client and its connection to the server.
type link struct {
	tap    *Tap
	number int64
}

func (l link) report(e Event) {
	e.Time, e.Conn = time.Now(), l.number
	l.tap.Report(e)
}

// pass moves messages until from ends, and then ends to alike. Where to has ended
// first, its own reader says so.
func (l link) pass(from, to transport.Conn, toServer bool) {
	ctx := context.Background()
	var buf []byte
	var err error
	for {
		if buf, err = from.Read(ctx, buf[:0]); err != nil {
			l.end(to, toServer, err)
			return
		}
		l.report(Event{Kind: Message, ToServer: toServer, Data: buf})
		if to.Write(ctx, buf) != nil {
			return
		}
	}
}

// end passes a close on, with its code and reason.
func (l link) end(to transport.Conn, toServer bool, err error) {
	var closed *transport.CloseError
	if !errors.As(err, &closed) {
		closed = &transport.CloseError{Code: transport.CodeInternal, Err: err}
	}
	if closed.Remote || closed.Err != nil {
		l.report(Event{Kind: Closed, ToServer: toServer, Err: closed}) // before the other end knows
	}
	to.Close(passable(closed.Code), closed.Reason)
}

// passable returns the code to send for one that cannot be sent.
func passable(code transport.Code) transport.Code {
	if code == transport.CodeAbnormal || code == transport.CodeNoStatus {
		return transport.CodeGoingAway
	}
	return code
}
