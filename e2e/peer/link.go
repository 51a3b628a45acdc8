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

	// guestBytes may wait on a link that somebody else has opened and whose other end
	// is not known: an honest one sends two messages of a handshake before it is.
	guestBytes = 2 * (engine.MaxHandshakeFrame + overhead)

	// overhead is what a waiting message counts beside its bytes.
	overhead = 64

	// closeGrace is how long a close waits for room to the relay.
	closeGrace = time.Second
)

// A link is a connection between two members, by way of a relay: a [transport.Conn].
// It has no flow control: that of the session inside bounds what may wait. Whoever sends
// more loses the link.
type link struct {
	way     *way
	id      linkID
	member  relay.MemberID
	name    string // of the member, as the relay says
	order   uint64 // in which links and sessions of the node began
	kind    guestKind
	dialled bool

	admitted  bool          // by Node.admit; the node's mu guards it
	confirmed chan struct{} // closed when a confirm came; likewise
	dropped   chan struct{} // closed when the session on it is not wanted; likewise

	once sync.Once
	done chan struct{} // closed when err is set
	err  *transport.CloseError

	mu       sync.Mutex // guards what follows
	some     chan struct{}
	queue    [][]byte
	size     int  // of queue, with overhead
	room     int  // for size
	limit    int  // of a message, in bytes
	written  int  // messages
	received int  // messages
	guest    bool // the other end has opened it, and not proved who it is
}

var _ transport.Conn = (*link)(nil)

func newLink(w *way, id linkID, member relay.MemberID, name string, dialled bool, room int) *link {
	return &link{
		way: w, id: id, member: member, name: name, dialled: dialled,
		confirmed: make(chan struct{}), dropped: make(chan struct{}), done: make(chan struct{}),
		some: make(chan struct{}, 1), room: room, limit: maxPayload, guest: !dialled,
	}
}

// deliver takes a message that has come, or gives the link up. It never waits.
func (l *link) deliver(message []byte) {
	l.mu.Lock()
	room := l.room
	if l.guest {
		room = guestBytes
	}
	l.received++
	fits := l.size+len(message)+overhead <= room
	if fits {
		l.queue = append(l.queue, message)
		l.size += len(message) + overhead
		l.wake()
	}
	l.mu.Unlock()
	if !fits {
		l.end(&transport.CloseError{Code: transport.CodePolicy}, false)
		l.way.mention(l.member, l.id, transport.CodePolicy, "")
	}
}

// wake is called under mu.
func (l *link) wake() {
	select {
	case l.some <- struct{}{}:
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
		message, ok, fits := l.take(over)
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
		case <-l.some:
		case <-l.done:
		case <-ctx.Done():
		}
	}
}

// take returns a message that has come, and whether it is within the limit. Behind the end
// of a link that the other end has closed, what came before is still there.
func (l *link) take(over bool) (message []byte, ok, fits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || over && !l.err.Remote {
		return nil, false, true
	}
	message, l.queue[0] = l.queue[0], nil
	l.size -= len(message) + overhead
	if l.queue = l.queue[1:]; len(l.queue) > 0 {
		l.wake()
	}
	return message, true, len(message) <= l.limit
}

// SetMaxMessage bounds the messages that are taken. A session calls it, and raises the
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
	case l.way.out <- outgoing{l.member, l.frame(msg).append(nil)}:
		return nil
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return l.giveUp(ctx)
	}
}

// frame makes a frame of a message: of the first one of a link that which opens it. The
// second one that answers is the accept behind the other end's proof, or the link ends
// with it.
func (l *link) frame(msg []byte) frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written++
	kind := byte(kindData)
	switch {
	case l.dialled && l.written == 1:
		kind = kindOpen
	case l.written == 2:
		l.guest = false
	}
	return frame{kind, l.id, msg}
}

// confirm tells the other end that the session is the one.
func (l *link) confirm(ctx context.Context) {
	select {
	case l.way.out <- outgoing{l.member, frame{kind: kindConfirm, id: l.id}.append(nil)}:
	case <-l.done:
	case <-ctx.Done():
	}
}

func (l *link) giveUp(ctx context.Context) error {
	l.end(&transport.CloseError{Code: transport.CodeAbnormal, Err: ctx.Err()}, true)
	return l.err
}

// Close is described at [transport.Conn].
func (l *link) Close(code transport.Code, reason string) error {
	l.end(&transport.CloseError{Code: code, Reason: reason}, true)
	return nil
}

// end ends the link, unless it has ended, and tells the other end if it has to be told.
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
		l.way.forget(l)
	}
	if first && tell {
		l.tell(why)
	}
}

func (l *link) tell(why *transport.CloseError) {
	code := why.Code
	if code == transport.CodeAbnormal {
		code = 0 // this end was cut
	}
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case l.way.out <- outgoing{l.member, frame{kindClose, l.id, closeBody(code, why.Reason)}.append(nil)}:
	case <-l.way.gone:
	case <-late.C:
	}
}

// closed is the end as the other member has told it.
func (l *link) closed(code transport.Code, reason string) {
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
	return transport.Info{Kind: "relay", Local: l.way.name, Remote: safetext.Line(l.name, 64)}
}
