//go:build !js

package transport

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/safetext"
)

// AcceptOptions changes whom and what [Accept] takes. Nil means the zero value.
type AcceptOptions struct {
	// MaxMessage is the largest message accepted, in bytes. Zero means
	// DefaultMaxMessage.
	MaxMessage int

	// Origins lists the origins, beside the server's own, whose pages may
	// connect: scheme, host and, if it is not the scheme's own, port, such as
	// "https://app.example.com". The server's own origin is what the request
	// says: http or https as this server was reached, and the Host header. A
	// server behind something that terminates TLS or rewrites Host has to list
	// its public origin here.
	Origins []string

	// KeepAlive is the time between pings, which notice that the client is gone
	// while a Read waits, and keep proxies from forgetting the connection. Zero
	// means DefaultKeepAlive, a negative value no pings.
	KeepAlive time.Duration
}

// Accept upgrades a request to a WebSocket. If it fails it has answered the
// request: with 403 where a browser's page comes from a foreign origin, which
// the error tells by matching [ErrOrigin]; with 426 or 400 where the request is
// no WebSocket handshake.
//
// Nobody is authenticated by this. A missing Origin is accepted, because only
// browsers send it; a cookie proves nothing, because browsers send it for any
// page.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (Conn, error) {
	if opts == nil {
		opts = &AcceptOptions{}
	}
	origin, err := checkOrigin(r, opts.Origins)
	if err != nil {
		http.Error(w, "pages of this origin may not connect here", http.StatusForbidden)
		return nil, fmt.Errorf("transport: accept: %w", err)
	}
	catch := &socketCatcher{ResponseWriter: w}
	ws, err := websocket.Accept(catch, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // checkOrigin is stricter: it compares schemes too
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, errors.New("transport: accept: " + safetext.Line(err.Error(), shownReason))
	}
	info := Info{Kind: kindOf(r), Local: catch.socket.LocalAddr().String(), Remote: r.RemoteAddr, Origin: origin}
	return newConn(ws, catch.socket, info, opts.MaxMessage, opts.KeepAlive), nil
}

func kindOf(r *http.Request) string {
	if r.TLS != nil {
		return "wss"
	}
	return "ws"
}

// A socketCatcher keeps the socket that a WebSocket is made of.
type socketCatcher struct {
	http.ResponseWriter
	socket net.Conn
}

// Hijack is described at http.Hijacker.
func (c *socketCatcher) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	socket, rw, err := http.NewResponseController(c.ResponseWriter).Hijack()
	c.socket = socket
	return socket, rw, err
}
