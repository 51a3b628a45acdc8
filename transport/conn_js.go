package transport

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall/js"
	"time"
)

const (
	// Limits for messages that wait to be read. Beyond them the connection ends, because a browser
	// cannot make a sender wait.
	maxQueued      = 1024 // messages
	maxQueuedLimit = 8    // times the largest message accepted

	// maxUnsent is how much the browser may buffer, in bytes, before Write waits. A browser buffers
	// everything that it is given, until it kills the page.
	maxUnsent = 1 << 20

	// unsentPoll is the time between two looks at the browser's buffer, for which it has no event.
	// A hidden page may look only once a second.
	unsentPoll = 4 * time.Millisecond
)

var (
	errText    = errors.New("the peer sent a text message, only binary is accepted")
	errOverrun = errors.New("messages came in faster than they were read")

	arrayType    = js.Global().Get("Uint8Array")
	socketEvents = []string{"open", "message", "close"}
)

// A pageConn is a Conn over a WebSocket of the browser. The browser calls one js.Func, which never
// waits. That is released when the browser reports the close, or when the peer takes too long to
// confirm one.
type pageConn struct {
	socket js.Value
	events js.Func
	once   sync.Once // releases events

	info   Info
	limit  int // bytes in a message, at most
	opened chan struct{}
	closed chan struct{} // closed by release
	end    *ending

	mu     sync.Mutex // guards what follows; nobody waits while holding it
	queue  []js.Value // ArrayBuffers not read yet
	queued int        // bytes in queue
	max    int        // the largest message that Read returns, at most limit
	out    js.Value   // a Uint8Array through which messages leave Go's memory

	arrived chan struct{} // holds a token when queue may have become non-empty
}

func newConn(socket js.Value, info Info, limit int) *pageConn {
	c := &pageConn{
		socket: socket, info: info, limit: limit, max: limit, end: newEnding(),
		opened: make(chan struct{}), closed: make(chan struct{}), arrived: make(chan struct{}, 1),
		out: arrayType.New(0),
	}
	c.events = js.FuncOf(c.event)
	for _, name := range socketEvents {
		socket.Call("addEventListener", name, c.events)
	}
	return c
}

// event handles an event of the browser.
func (c *pageConn) event(_ js.Value, args []js.Value) any {
	switch e := args[0]; e.Get("type").String() {
	case "open":
		close(c.opened)
	case "message":
		c.receive(e.Get("data"))
	case "close":
		code := fromPeer(Code(e.Get("code").Int()))
		c.end.set(PeerClosed(code, e.Get("reason").String()))
		c.release()
	}
	return nil
}

// receive queues one message. It must not wait: it runs inside a js.Func.
func (c *pageConn) receive(data js.Value) {
	if c.end.over() {
		return
	}
	if data.Type() == js.TypeString {
		c.refuse(&CloseError{Code: CodeUnsupported, Err: errText})
		return
	}
	size := data.Get("byteLength").Int()
	if size > c.limit {
		c.refuse(&CloseError{Code: CodeTooLarge, Err: ErrTooLarge})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == maxQueued || c.queued+size > maxQueuedLimit*c.limit {
		c.refuse(&CloseError{Code: CodePolicy, Err: errOverrun})
		return
	}
	c.queue, c.queued = append(c.queue, data), c.queued+size
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// SetMaxMessage limits messages to n bytes from the next Read on, or to the MaxMessage of the
// options if that is less. The limit also applies to messages that are already queued, so Read
// checks it.
func (c *pageConn) SetMaxMessage(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.max = min(n, c.limit)
}

// next takes a message out of the queue. A message that is too large ends the connection.
func (c *pageConn) next() (data js.Value, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return data, false
	}
	data = c.queue[0]
	c.queue = slices.Delete(c.queue, 0, 1)
	size := data.Get("byteLength").Int()
	c.queued -= size
	if size > c.max {
		c.refuse(&CloseError{Code: CodeTooLarge, Err: ErrTooLarge})
		return data, false
	}
	return data, true
}

// Read is described at [Conn].
func (c *pageConn) Read(ctx context.Context, dst []byte) ([]byte, error) {
	for {
		over := c.end.over() // read this first: once it is true, the queue no longer grows
		if over && !c.end.err.Remote {
			return dst, c.end.reason()
		}
		if data, ok := c.next(); ok {
			return appendArray(dst, data), nil
		}
		if over {
			return dst, c.end.reason()
		}
		select {
		case <-c.arrived:
		case <-c.end.done:
		case <-ctx.Done():
			c.finish(gaveUp(ctx.Err()))
		}
	}
}

// appendArray appends an ArrayBuffer with a single copy.
func appendArray(dst []byte, data js.Value) []byte {
	view := arrayType.New(data)
	start, size := len(dst), view.Length()
	dst = slices.Grow(dst, size)[:start+size]
	js.CopyBytesToGo(dst[start:], view)
	return dst
}

// Write is described at [Conn].
func (c *pageConn) Write(ctx context.Context, msg []byte) error {
	for !c.end.over() {
		if c.socket.Get("bufferedAmount").Int() <= maxUnsent {
			c.send(msg)
			return nil
		}
		wait := time.NewTimer(unsentPoll)
		select {
		case <-wait.C:
		case <-c.end.done:
		case <-ctx.Done():
			c.finish(gaveUp(ctx.Err()))
		}
		wait.Stop()
	}
	return c.end.reason()
}

// send gives the browser one message. The browser copies it, so one array serves all messages.
func (c *pageConn) send(msg []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.Length() < len(msg) {
		c.out = arrayType.New(len(msg))
	}
	js.CopyBytesToJS(c.out, msg)
	c.socket.Call("send", c.out.Call("subarray", 0, len(msg)))
}

// Close is described at [Conn].
func (c *pageConn) Close(code Code, reason string) error {
	code, reason = sendable(code, reason)
	return c.finish(&CloseError{Code: code, Reason: reason})
}

// Info is described at [Conn].
func (c *pageConn) Info() Info { return c.info }

// finish ends the connection and waits a moment for the peer to confirm.
func (c *pageConn) finish(why *CloseError) error {
	if !c.refuse(why) {
		return nil
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-c.closed:
		return nil
	case <-grace.C:
		c.release()
		return errors.New("transport: the peer did not confirm the close")
	}
}

// refuse ends the connection without waiting, unless it had ended before. The browser reports the
// close later. A browser cannot cut a connection, so after a context ended the close code says so.
func (c *pageConn) refuse(why *CloseError) (first bool) {
	if !c.end.set(why) {
		return false
	}
	c.socket.Call("close", int(fromPage(why.Code)), why.Reason)
	return true
}

// fromPage returns the code that a page sends for code; fromPeer translates it back.
func fromPage(code Code) Code {
	if code > CodeNormal && code <= CodeNormal+mappedCodes {
		return firstMapped + code - CodeNormal
	}
	return code
}

// release stops listening to the browser.
func (c *pageConn) release() {
	c.once.Do(func() {
		for _, name := range socketEvents {
			c.socket.Call("removeEventListener", name, c.events)
		}
		c.events.Release()
		close(c.closed)
	})
}
