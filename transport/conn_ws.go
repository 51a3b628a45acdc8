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

// errSilent is the cause of a connection that ended for want of a pong.
var errSilent = errors.New("no answer to a ping")

// A wsConn is a Conn over a WebSocket.
type wsConn struct {
	ws     *websocket.Conn
	socket net.Conn // below ws, to cut what ws would wait for
	info   Info
	end    *ending

	reads atomic.Uint64 // Read calls begun and ended: odd while one waits
	spare [1]byte       // where Read looks for the end of a message that fills dst

	every time.Duration // between pings, 0 for none
	pulse *time.Timer   // runs beat
}

// newConn takes over an open WebSocket and the socket below it.
func newConn(ws *websocket.Conn, socket net.Conn, info Info, maxMessage int, keepAlive time.Duration) *wsConn {
	if maxMessage <= 0 {
		maxMessage = DefaultMaxMessage
	}
	if keepAlive == 0 {
		keepAlive = DefaultKeepAlive
	}
	ws.SetReadLimit(int64(maxMessage))
	c := &wsConn{ws: ws, socket: socket, info: info, end: newEnding(), every: keepAlive}
	c.startPulse()
	return c
}

// Read is described at [Conn].
func (c *wsConn) Read(ctx context.Context, dst []byte) ([]byte, error) {
	c.reads.Add(1)
	defer c.reads.Add(1)
	if c.end.over() { // also keeps a message from us that came after our close
		return dst, c.end.reason()
	}
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
	return msg, nil
}

// appendAll appends what r has left. Unlike io.ReadAll it needs no room beyond
// the message.
func (c *wsConn) appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		room := dst[len(dst):cap(dst)]
		if len(room) == 0 {
			room = c.spare[:]
		}
		n, err := r.Read(room)
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
	err := c.ws.Write(ctx, websocket.MessageBinary, msg)
	if err == nil {
		return nil
	}
	if errors.Is(err, net.ErrClosed) && c.reads.Load()%2 == 1 {
		c.awaitReader(ctx)
	}
	return c.fail(diagnose(ctx, err))
}

// awaitReader lets the Read that seems to wait say why the connection ended,
// which it knows better. The time bounds the unlikely case that the Read was about
// to return a message.
func (c *wsConn) awaitReader(ctx context.Context) {
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case <-c.end.done:
	case <-late.C:
	case <-ctx.Done():
	}
}

// Close is described at [Conn].
func (c *wsConn) Close(code Code, reason string) error {
	code, reason = sendable(code, reason)
	return c.finish(&CloseError{Code: code, Reason: reason})
}

// Info is described at [Conn].
func (c *wsConn) Info() Info { return c.info }

// fail ends the connection for the given reason, unless it had ended before, and
// returns why it ended.
func (c *wsConn) fail(why *CloseError) error {
	c.finish(why)
	return c.end.reason()
}

// finish ends the connection. Only a peer that we turn down gets a close
// message and some time to confirm it: where the link broke or a caller gave up
// there is nobody to talk to.
func (c *wsConn) finish(why *CloseError) error {
	if !c.end.set(why) {
		return nil
	}
	c.pulse.Stop()
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

// diagnose tells from an error of the WebSocket who ended the connection.
func diagnose(ctx context.Context, err error) *CloseError {
	var closed websocket.CloseError
	var network net.Error
	switch {
	case errors.As(err, &closed):
		return &CloseError{Code: fromPeer(Code(closed.Code)), Reason: closed.Reason, Remote: true}
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &CloseError{Code: CodeTooLarge, Err: ErrTooLarge}
	case ctx.Err() != nil:
		return gaveUp(ctx.Err())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return lost(nil)
	case errors.As(err, &network):
		return lost(network)
	}
	// What is left are violations of RFC 6455. The text may quote the peer.
	return &CloseError{Code: CodeProtocol, Err: errors.New(safetext.Line(err.Error(), shownReason))}
}
