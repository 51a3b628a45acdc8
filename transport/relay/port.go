//go:build !js

package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

var (
	errFrame = errors.New("relay: the client sent something that is not a frame")
	errIdle  = errors.New("relay: the client joins no topic")
	errSlow  = errors.New("relay: the client does not take what it is sent")
)

// maxKeptBuffer is the largest read buffer, in bytes, that a connection keeps between frames. Most
// connections are idle most of the time.
const maxKeptBuffer = 4 << 10

// A port is the hub's side of one connection. One goroutine reads, and one writes what is queued.
type port struct {
	hub     *Hub
	address string // the client's block of addresses, by netblock; "" if unknown

	ctx context.Context // ends both goroutines
	cut context.CancelCauseFunc

	idle *time.Timer // cuts a client that joins no topic

	seats map[string]*seat // by topic; the hub's mutex guards it

	out    *outbox // frames that wait to be sent
	holdup holdup  // how it holds others up; guarded by the mutex of the hub's stalls

	connected chan struct{} // closed when conn is set
	conn      transport.Conn
}

func newPort(h *Hub, address string) *port {
	p := &port{
		hub: h, address: address, seats: make(map[string]*seat),
		out: newOutbox(h.opts.MaxQueued, h.opts.QueuedBytes), connected: make(chan struct{}),
	}
	p.ctx, p.cut = context.WithCancelCause(context.Background())
	p.idle = time.AfterFunc(h.opts.JoinTimeout, func() { p.cut(errIdle) })
	return p
}

// send queues an event for this connection. It never waits, see queue.
func (p *port) send(e frame.Event) { p.queue(e.Append(nil)) }

// queue queues a frame. If the queue is full, queue cuts the connection. It never waits, because
// the caller holds the hub's mutex. A hub that stops queues nothing: writing to a connection that
// is being closed would break the close.
func (p *port) queue(b []byte) {
	if p.hub.closed {
		return
	}
	if !p.out.push(b) {
		p.cut(errSlow)
	}
}

// run serves the connection until it ends, and returns why it ended.
func (p *port) run(conn transport.Conn) error {
	defer p.hub.vacate(p)
	p.conn = conn
	close(p.connected)
	written := make(chan struct{})
	go func() { defer close(written); p.write() }()
	p.cut(p.read())
	<-written
	return context.Cause(p.ctx) // the first of the reasons to end
}

// goAway closes the connection because the hub stops.
func (p *port) goAway() {
	select {
	case <-p.connected:
		p.conn.Close(transport.CodeGoingAway, "the relay is stopping")
	case <-p.ctx.Done(): // it ended before conn was set
	}
}

// read reads and serves requests until the connection ends.
func (p *port) read() error {
	var buf []byte
	for {
		b, err := p.conn.Read(p.ctx, buf[:0])
		if err != nil {
			return slow(err)
		}
		if tap := p.hub.opts.Tap; tap != nil {
			tap(b)
		}
		if len(b) > p.hub.opts.MaxMessage {
			p.conn.Close(transport.CodeTooLarge, "frame above the relay's limit")
			return transport.ErrTooLarge
		}
		request, err := frame.ParseRequest(b)
		if err != nil {
			p.conn.Close(transport.CodeProtocol, "not a relay frame")
			return errFrame
		}
		p.await(p.hub.request(p, request))
		if buf = b; cap(buf) > maxKeptBuffer {
			buf = nil
		}
	}
}

// await waits until no reader's outbox is more than half full, so that a burst slows its own
// connection and does not cut connections that read. It does not wait for readers whose patience is
// spent. It cuts a reader that has not drained within WriteTimeout.
func (p *port) await(readers []*port) {
	readers = slices.DeleteFunc(readers, func(r *port) bool { return r.out.drained() == nil })
	if len(readers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.hub.opts.WriteTimeout)
	defer cancel()
	for _, r := range readers { // at the same time, so that many slow readers delay no longer than one
		p.hub.stalls.begin(r)
		defer p.hub.stalls.end(r)
	}
	for _, r := range readers {
		if p.awaitOne(ctx, r); p.ctx.Err() != nil {
			return
		}
	}
}

func (p *port) awaitOne(ctx context.Context, r *port) {
	for {
		drained, left := r.out.drained(), p.hub.stalls.left(r)
		if drained == nil || left <= 0 {
			return
		}
		spent := time.NewTimer(max(left, time.Millisecond))
		select {
		case <-drained:
		case <-spent.C:
		case <-r.ctx.Done():
		case <-ctx.Done():
			if p.ctx.Err() == nil {
				r.cut(errSlow)
			}
		}
		if spent.Stop(); r.ctx.Err() != nil || p.ctx.Err() != nil {
			return
		}
	}
}

// write sends what is queued.
func (p *port) write() {
	for {
		if b, ok := p.out.pop(); ok {
			if err := p.writeOne(b); err != nil {
				p.cut(err)
				return
			}
			continue
		}
		select {
		case <-p.out.wake:
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *port) writeOne(b []byte) error {
	ctx, cancel := context.WithTimeout(p.ctx, p.hub.opts.WriteTimeout)
	defer cancel()
	return slow(p.conn.Write(ctx, b))
}

// slow returns errSlow for a write that reached its time limit. Only writes have one, and such a
// write ends the connection for the reader too, which may report it first.
func slow(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errSlow
	}
	return err
}
