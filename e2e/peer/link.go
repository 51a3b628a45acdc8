package peer

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

const (
	// maxPayload is the largest message of a link, in bytes: a relay takes 256 KiB by
	// default, with the topic and what stands around the message.
	maxPayload = 256<<10 - 512

	// pendingBytes may wait on a link that another member has opened, until it has proved who it
	// is: an honest one sends two messages of a handshake before that.
	pendingBytes = 2 * (engine.MaxHandshakeFrame + overhead)

	// overhead is added to the bytes of each waiting message.
	overhead = 64

	// closeGrace is how long a close waits until the relay takes it.
	closeGrace = time.Second
)

// A link is a connection between two members through a relay: a [transport.Conn].
// It has no flow control: that of the session inside bounds what may wait. A member that sends
// more loses the link.
type link struct {
	membership *membership
	id         linkID
	member     relay.MemberID
	name       string // of the member, as the relay says
	order      uint64 // in which links and sessions of the node began
	kind       openerKind
	dialled    bool

	admitted  bool          // by Node.admit; the node's mu guards this and the next two
	confirmed chan struct{} // closed when a confirm has come
	dropped   chan struct{} // closed when another session counts than the one on this link

	once sync.Once
	done chan struct{} // closed when err is set
	err  *transport.CloseError

	mu       sync.Mutex // guards what follows
	readable chan struct{}
	queue    [][]byte
	size     int  // of queue, with overhead
	room     int  // for size
	limit    int  // of a message, in bytes
	written  int  // messages
	received int  // messages
	pending  bool // the other end has opened it, and not proved who it is
}

var _ transport.Conn = (*link)(nil)

func newLink(w *membership, id linkID, member relay.MemberID, name string, dialled bool, room int) *link {
	return &link{
		membership: w, id: id, member: member, name: name, dialled: dialled,
		confirmed: make(chan struct{}), dropped: make(chan struct{}), done: make(chan struct{}),
		readable: make(chan struct{}, 1), room: room, limit: maxPayload, pending: !dialled,
	}
}

// deliver queues a message that has come. It ends the link if too much waits. It never waits itself.
func (l *link) deliver(message []byte) {
	l.mu.Lock()
	room := l.room
	if l.pending {
		room = pendingBytes
	}
	l.received++
	fits := l.size+len(message)+overhead <= room
	if fits {
		l.queue = append(l.queue, message)
		l.size += len(message) + overhead
		l.signal()
	}
	l.mu.Unlock()
	if !fits {
		l.end(&transport.CloseError{Code: transport.CodePolicy}, false)
		l.membership.notifyClosed(l.member, l.id, transport.CodePolicy, "")
	}
}

// signal wakes Read. The caller holds l.mu.
func (l *link) signal() {
	select {
	case l.readable <- struct{}{}:
	default:
	}
}

// Read is described at [transport.Conn].
func (l *link) Read(ctx context.Context, dst []byte) ([]byte, error) {
	for {
		over := l.over()
		if !over && ctx.Err() != nil {
			return dst, l.giveUp(ctx)
		}
		message, ok, fits := l.dequeue(over)
		switch {
		case !fits:
			l.end(&transport.CloseError{Code: transport.CodeTooLarge, Err: transport.ErrTooLarge}, true)
			return dst, l.err
		case ok:
			return append(dst, message...), nil
		case over:
			return dst, l.err
		}
		select {
		case <-l.readable:
		case <-l.done:
		case <-ctx.Done():
		}
	}
}

// dequeue returns the next message, and whether it is within the limit. If the link is over, there are
// messages only if the other end has closed it: what it sent before still counts.
func (l *link) dequeue(over bool) (message []byte, ok, fits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || over && !l.err.Remote {
		return nil, false, true
	}
	message, l.queue[0] = l.queue[0], nil
	l.size -= len(message) + overhead
	if l.queue = l.queue[1:]; len(l.queue) > 0 {
		l.signal()
	}
	return message, true, len(message) <= l.limit
}

// SetMaxMessage bounds the messages that the link accepts. A session calls it, and raises the
// bound when it knows its other end.
func (l *link) SetMaxMessage(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = min(n, maxPayload)
}

// Write is described at [transport.Conn].
func (l *link) Write(ctx context.Context, msg []byte) error {
	if l.over() {
		return l.err
	}
	if len(msg) > maxPayload {
		l.end(&transport.CloseError{Code: transport.CodeTooLarge, Err: transport.ErrTooLarge}, true)
		return l.err
	}
	select {
	case l.membership.out <- outgoing{l.member, l.frame(msg).append(nil)}:
		return nil
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return l.giveUp(ctx)
	}
}

// frame returns the frame of the next message. The first message of the end that has dialled opens the
// link. The second message of the end that answers is the accept, so the other end has proved who it
// is, or the link ends with that message.
func (l *link) frame(msg []byte) frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written++
	kind := byte(kindData)
	switch {
	case l.dialled && l.written == 1:
		kind = kindOpen
	case l.written == 2:
		l.pending = false
	}
	return frame{kind, l.id, msg}
}

// confirm tells the other end that the session on this link counts.
func (l *link) confirm(ctx context.Context) {
	select {
	case l.membership.out <- outgoing{l.member, frame{kind: kindConfirm, id: l.id}.append(nil)}:
	case <-l.done:
	case <-ctx.Done():
	}
}

// giveUp ends the link because a Read or Write was cancelled.
func (l *link) giveUp(ctx context.Context) error {
	l.end(&transport.CloseError{Code: transport.CodeAbnormal, Err: ctx.Err()}, true)
	return l.err
}

// Close is described at [transport.Conn].
func (l *link) Close(code transport.Code, reason string) error {
	l.end(&transport.CloseError{Code: code, Reason: reason}, true)
	return nil
}

// end ends the link, unless it has ended before. If tell is set, it tells the other end.
func (l *link) end(why *transport.CloseError, tell bool) {
	first := false
	l.once.Do(func() {
		if first = true; !why.Remote {
			why.Code, why.Reason = sendable(why)
		}
		l.err = why
		close(l.done)
	})
	if first {
		l.membership.forget(l)
	}
	if first && tell {
		l.tell(why)
	}
}

// tell sends a close to the other end.
func (l *link) tell(why *transport.CloseError) {
	code := why.Code
	if code == transport.CodeAbnormal {
		code = 0 // this end was cut
	}
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case l.membership.out <- outgoing{l.member, frame{kindClose, l.id, closeBody(code, why.Reason)}.append(nil)}:
	case <-l.membership.gone:
	case <-late.C:
	}
}

// closedByPeer ends the link because the other end has closed it.
func (l *link) closedByPeer(code transport.Code, reason string) {
	if code == 0 {
		code, reason = transport.CodeAbnormal, ""
	}
	l.end(transport.PeerClosed(code, reason), false)
}

// sendable returns the code and the reason that are sent.
func sendable(why *transport.CloseError) (transport.Code, string) {
	code, reason := why.Code, strings.ToValidUTF8(why.Reason, "\ufffd")
	if why.Err == nil && (code == transport.CodeAbnormal || code == transport.CodeNoStatus || code < 1000 || code > 4999) {
		code = transport.CodeInternal
	}
	for len(reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return code, reason
}

func (l *link) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// Info returns the names of both members, as the relay says.
func (l *link) Info() transport.Info {
	return transport.Info{Kind: "relay", Local: l.membership.name, Remote: safetext.Line(l.name, 64)}
}
