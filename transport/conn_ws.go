//go:build !js

package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A wsConn is a Conn over a WebSocket.
type wsConn struct {
	ws     *websocket.Conn
	socket net.Conn // below ws, to cut what ws would wait for
	info   Info
	end    *ending

	limit  int           // bytes in a message, at most
	heard  atomic.Uint64 // grows with all that Reads do; odd while a Read waits
	writes *writes
	spare  [1]byte // for the end of a message that exactly fills dst

	lease lease // what Accept's Authenticate granted

	every     time.Duration                    // between pings, 0 for none
	pingTimer *time.Timer                      // runs onPingTimer
	above     atomic.Pointer[func() time.Time] // the function that Watch was given

	meter *meter // of the Gate, or nil
}

// maxChunk bounds one read from the WebSocket, in bytes. A chunk shows that the peer is there only
// when all of it has arrived.
const maxChunk = 32 << 10

// newConn makes a Conn of an open WebSocket and the socket below it. The WebSocket asks w whether
// to answer a ping.
func newConn(ws *websocket.Conn, w *writes, socket net.Conn, info Info, maxMessage int, keepAlive time.Duration) *wsConn {
	if maxMessage <= 0 {
		maxMessage = DefaultMaxMessage
	}
	if keepAlive == 0 {
		keepAlive = DefaultKeepAlive
	}
	c := &wsConn{ws: ws, writes: w, socket: socket, info: info, end: newEnding(), limit: maxMessage, every: keepAlive}
	c.meter, _ = socket.(*meter)
	c.SetMaxMessage(maxMessage)
	c.startPings()
	c.meter.opened(c)
	return c
}

// SetMaxMessage limits messages to n bytes from the next Read on, or to the MaxMessage of the
// options if that is less.
func (c *wsConn) SetMaxMessage(n int) { c.ws.SetReadLimit(int64(max(0, min(n, c.limit)))) }

// Read is described at [Conn].
func (c *wsConn) Read(ctx context.Context, dst []byte) ([]byte, error) {
	c.meter.awaitTurn(ctx)
	c.heard.Add(1)
	defer c.heard.Add(1)
	kind, r, err := c.ws.Reader(ctx)
	if err != nil {
		return dst, c.fail(diagnose(ctx, err))
	}
	if kind != websocket.MessageBinary {
		return dst, c.fail(&CloseError{Code: CodeUnsupported, Err: errors.New("the peer sent a text message, only binary is accepted")})
	}
	msg, err := c.appendAll(dst, r)
	if err != nil {
		return dst, c.fail(diagnose(ctx, err))
	}
	c.meter.received()
	return msg, nil
}

// appendAll appends the rest of r. Unlike io.ReadAll it needs no room beyond the message.
func (c *wsConn) appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		room := dst[len(dst):cap(dst)]
		if len(room) == 0 {
			room = c.spare[:]
		}
		n, err := r.Read(room[:min(len(room), maxChunk)])
		if n > 0 {
			c.heard.Add(2) // still odd
		}
		dst = append(dst, room[:n]...)
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Write is described at [Conn].
func (c *wsConn) Write(ctx context.Context, msg []byte) error {
	c.writes.begin()
	err := c.ws.Write(ctx, websocket.MessageBinary, msg)
	c.writes.end()
	if err == nil {
		c.meter.sent()
		return nil
	}
	if errors.Is(err, net.ErrClosed) && c.heard.Load()%2 == 1 {
		c.awaitReader(ctx)
	}
	return c.fail(diagnose(ctx, err))
}

// awaitReader waits for a Read that is under way to record why the connection ended: the Read knows
// better than a Write. The wait is bounded, because the Read may just be returning a message.
func (c *wsConn) awaitReader(ctx context.Context) {
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case <-c.end.done:
	case <-late.C:
	case <-ctx.Done():
	}
}

// Ping sends a ping and waits for the answer, which comes only while somebody reads. Package
// diagnose uses it.
func (c *wsConn) Ping(ctx context.Context) error { return c.ws.Ping(ctx) }

// Close is described at [Conn].
func (c *wsConn) Close(code Code, reason string) error {
	code, reason = sendable(code, reason)
	return c.finish(&CloseError{Code: code, Reason: reason})
}

// Info is described at [Conn].
func (c *wsConn) Info() Info { return c.info }

// fail ends the connection for the given reason, unless it had ended before. It returns the reason
// why the connection ended.
func (c *wsConn) fail(why *CloseError) error {
	c.finish(why)
	return c.end.reason()
}

// finish ends the connection. It sends a close message, and waits for the peer to confirm it, only
// if this end chose to close: if the link broke or a context ended, there is nobody to talk to.
func (c *wsConn) finish(why *CloseError) error {
	if !c.end.set(why) {
		return nil
	}
	c.pingTimer.Stop()
	c.lease.end()
	defer c.meter.ended(why)
	if why.Remote || why.Code == CodeAbnormal {
		c.ws.CloseNow()
		return nil
	}
	cut := time.AfterFunc(closeGrace, func() { c.socket.Close() })
	err := c.ws.Close(websocket.StatusCode(why.Code), why.Reason)
	if !cut.Stop() || err != nil {
		return errors.New("transport: the peer did not confirm the close")
	}
	return nil
}

// diagnose returns who ended the connection, judging by an error of the WebSocket.
func diagnose(ctx context.Context, err error) *CloseError {
	var closed websocket.CloseError
	var network net.Error
	switch {
	case errors.As(err, &closed):
		return PeerClosed(fromPeer(Code(closed.Code)), closed.Reason)
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &CloseError{Code: CodeTooLarge, Err: ErrTooLarge}
	case ctx.Err() != nil:
		return gaveUp(ctx.Err())
	case errors.Is(err, errHungUp), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return lost(nil)
	case errors.As(err, &network):
		return lost(network)
	}
	// Everything else is a violation of RFC 6455. The text may quote the peer.
	return &CloseError{Code: CodeProtocol, Err: errors.New(safetext.Line(err.Error(), shownReason))}
}
