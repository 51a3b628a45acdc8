package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/label"
)

// A CloseCode is why an end closed a session. It is authenticated and encrypted.
type CloseCode uint16

// Session is one end of an established session: what outlives a connection. It
// knows what has arrived at either end. Its methods may be called at any time by
// anybody. It redacts itself when printed.
type Session struct {
	id         [secretSize]byte
	maxMessage int

	mu   sync.Mutex // guards what follows; held for moments, never while anything is encrypted
	link *Link      // the one that counts
	out  outbox
	in   inbox
}

// newSession makes a session and its first link of what a handshake leaves.
func newSession(k *schedule, client bool, maxMessage, window int) *Session {
	s := &Session{
		maxMessage: maxMessage,
		out:        outbox{credit: initialCredit, window: uint64(window)},
		in:         inbox{granted: initialCredit, span: initialCredit, window: uint64(window)},
	}
	copy(s.id[:], k.derive(label.SessionID))
	mine, theirs := label.SessionClientKey, label.SessionServerKey
	if !client {
		mine, theirs = theirs, mine
	}
	s.link = newLink(s, k.derive(mine), k.derive(theirs), s.id[:])
	return s
}

// ID returns a value that both ends share and nobody else knows, unique to this
// session.
func (s *Session) ID() [32]byte { return s.id }

// MaxMessage returns the largest message in bytes.
func (s *Session) MaxMessage() int { return s.maxMessage }

// Link returns the link that the session has now.
func (s *Session) Link() *Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// Consumed says that the application has taken a message of size bytes, so that
// the other end may send another. Opening alone does not: a driver may keep
// messages that nobody has asked for yet, and this is what bounds them.
func (s *Session) Consumed(now time.Time, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.consume(now, size)
}

// Sent returns the number of the last message sealed, and Acked that of the last
// one that has arrived at the other end's session. Messages are numbered from 1.
func (s *Session) Sent() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.last
}

// Acked is described at [Session.Sent].
func (s *Session) Acked() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.acked
}

// Ask has [Link.Control] ask the other end whether the last message has arrived,
// unless it was asked already.
func (s *Session) Ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.wantAck()
}

// Deadline returns when the next call of [Link.Control] is due, which may have
// passed, or the zero time if none is.
func (s *Session) Deadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline()
}

// longAgo is a deadline that has passed, whatever the time.
var longAgo = time.Unix(0, 0)

func (s *Session) deadline() time.Time {
	switch {
	case s.link == nil:
		return time.Time{}
	case s.out.ask:
		return longAgo
	}
	return s.in.ackAt
}

// Forget drops the messages that are kept for sending them again. They have to
// stay secret like the keys.
func (s *Session) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.out.unacked = nil, queue{}
}

// Format prints no secrets, whatever the verb (A42).
func (s *Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Session(redacted)") }
