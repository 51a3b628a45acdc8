//go:build !js

package transport

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// maxAnswer bounds the headers of what a server answers to the handshake, in bytes.
const maxAnswer = 64 << 10

// upgrade makes a WebSocket of conn, which leads to the target.
func (d *dialer) upgrade(ctx context.Context, conn net.Conn) (Conn, error) {
	var ws *websocket.Conn
	err := d.in(ctx, PhaseUpgrade, d.opts.Timeouts.Upgrade, func(ctx context.Context, e *DialEvent) *DialError {
		var resp *http.Response
		var err error
		ws, resp, err = websocket.Dial(ctx, d.target.String(), &websocket.DialOptions{
			HTTPClient:      d.client(conn),
			HTTPHeader:      requestHeader(d.opts),
			Subprotocols:    d.opts.Subprotocols,
			CompressionMode: websocket.CompressionDisabled,
		})
		if err != nil {
			conn.Close()
			return d.explainUpgrade(ctx, resp, err)
		}
		e.Subprotocol = ws.Subprotocol()
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.info.Subprotocol = ws.Subprotocol()
	return newConn(ws, conn, d.info, d.opts.MaxMessage, d.opts.KeepAlive), nil
}

// client returns an HTTP client for a single request over conn. It shares nothing
// with http.DefaultClient, which follows redirects and speaks to proxies in the
// clear.
func (d *dialer) client(conn net.Conn) *http.Client {
	unused := conn
	give := func(context.Context, string, string) (net.Conn, error) {
		if unused == nil {
			return nil, errors.New("the connection is used up")
		}
		given := unused
		unused = nil
		return given, nil
	}
	client := &http.Client{
		Transport: wholeBodies{&http.Transport{
			DialContext:            give,
			DialTLSContext:         give,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxAnswer,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if d.target.Scheme == "wss" || localOnly(d.target, d.opts.Policy) {
		client.Jar = d.opts.Jar
	}
	return client
}
