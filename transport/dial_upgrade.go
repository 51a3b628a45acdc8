//go:build !js

package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// maxAnswer bounds the headers of a server's answer to the handshake, in bytes.
const maxAnswer = 64 << 10

// upgrade does the WebSocket handshake with the target on conn.
func (d *dialer) upgrade(ctx context.Context, conn net.Conn) (*wsConn, error) {
	var ws *websocket.Conn
	w := newWrites()
	err := d.runPhase(ctx, PhaseUpgrade, d.opts.Timeouts.Upgrade, func(ctx context.Context, e *DialEvent) *DialError {
		var resp *http.Response
		var err error
		x := &exchange{conn: conn}
		ws, resp, err = websocket.Dial(ctx, d.target.String(), &websocket.DialOptions{
			HTTPClient:      d.client(x),
			HTTPHeader:      requestHeader(d.opts),
			Subprotocols:    d.opts.Subprotocols,
			CompressionMode: websocket.CompressionDisabled,
			OnPingReceived:  w.mayPong,
		})
		if resp != nil {
			d.answered = answeredBy(resp.Header)
		}
		if err != nil {
			conn.Close()
			return d.explainUpgrade(ctx, resp, err)
		}
		x.socket.open = true
		d.info.Subprotocol = agreed(ws.Subprotocol())
		e.Subprotocol = d.info.Subprotocol
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newConn(ws, w, conn, d.info, d.opts.MaxMessage, d.opts.KeepAlive), nil
}

// client returns an HTTP client for a single request over conn. It is independent of
// http.DefaultClient, which follows redirects and speaks to proxies in the clear.
func (d *dialer) client(x *exchange) *http.Client {
	client := &http.Client{
		Transport:     x,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if d.target.Scheme == "wss" || localOnly(d.target, d.opts.Policy) {
		client.Jar = d.opts.Jar
	}
	return client
}

// An exchange is one request and its answer over its own connection. Unlike http.Transport it keeps
// no buffer and no goroutine, and does not log what a server sends before it is asked.
type exchange struct {
	conn   net.Conn
	socket *upgraded // set by an answer 101
}

// RoundTrip is described at [http.RoundTripper]. It does not read the body of an answer, unless the
// answer opens a WebSocket.
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	done := unblock(ctx, x.conn)
	resp, rest, err := x.ask(r)
	if !done() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if _, err := resp.Location(); err != nil {
		resp.Header.Del("Location") // otherwise http.Client would return an error instead of the answer
	}
	resp.Body = http.NoBody
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.socket = &upgraded{Conn: &coalescer{Conn: noEOFSocket{x.conn}}, rest: rest}
		resp.Body = x.socket
	}
	return resp, nil
}

// ask returns the answer and what was read after its header. It prefers an error of reading to one
// of writing: a server may answer and close before it has read everything.
func (x *exchange) ask(r *http.Request) (*http.Response, *bufio.Reader, error) {
	written := r.Write(x.conn)
	limited := &io.LimitedReader{R: x.conn, N: maxAnswer}
	rest := bufio.NewReader(limited)
	for {
		resp, err := http.ReadResponse(rest, r)
		switch {
		case err != nil && limited.N <= 0:
			return nil, nil, errLongAnswer
		case err != nil && written != nil && alertOf(err) == 0:
			return nil, nil, written
		case err != nil:
			return nil, nil, err
		case resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, rest, nil
		}
	}
}

// upgraded is a connection of which some bytes were already read into a buffer.
type upgraded struct {
	net.Conn
	rest *bufio.Reader // the buffer; nil when it is used up
	open bool          // the handshake was right
}

// Read is described at [net.Conn].
func (u *upgraded) Read(p []byte) (int, error) {
	if !u.open {
		return 0, io.EOF // otherwise the library waits 3 seconds for an explanation
	}
	if u.rest == nil {
		return u.Conn.Read(p)
	}
	if u.rest.Buffered() == 0 {
		u.rest = nil
		return u.Conn.Read(p)
	}
	return u.rest.Read(p[:min(len(p), u.rest.Buffered())])
}
