package engine

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// Session is one end of an established session: what outlives a connection. It
// knows what has arrived at either end. Its methods may be called at any time by
// anybody. It redacts itself when printed.
type Session struct {
	id         [secretSize]byte
	protocol   string
	born       time.Time
	client     bool
	proof      Proof
	maxMessage int
	keepAlive  time.Duration // 0: none
	rekeyAfter time.Duration // 0: not by itself
	random     random

	mu   sync.Mutex // guards what follows; held for moments, never while anything is encrypted
	link *Link      // the one that counts; nil while there is none

	// What the peer has stated last about its keys, by which signatures are checked, and
	// the statement that was accepted, which is who the peer is.
	stated, peer *keys.PublicIdentity

	out outbox
	in  inbox

	stats stats

	secret *secret   // for the next link; nil when the session is forgotten
	next   *secret   // a server's, while it does not know whether the client has it
	healed time.Time // of the last ML-KEM exchange, on whatever link
}

// newSession makes a session and its first link of what a handshake leaves.
func newSession(k *schedule, client bool, peer *keys.PublicIdentity, cfg Config, now time.Time) *Session {
	s := emptySession(client, peer, cfg)
	s.born, s.healed = now, now
	copy(s.id[:], k.derive(label.SessionID))
	copy(s.secret.value[:], k.derive(label.ResumeSecret))
	mine, theirs := label.SessionClientKey, label.SessionServerKey
	if !client {
		mine, theirs = theirs, mine
	}
	s.link = newLink(s, now, k.derive(mine), k.derive(theirs), s.id[:])
	s.link.rekey = newRekey(s, k.derive(label.RekeySecret))
	s.link.update.announced = cfg.Identity
	return s
}

// emptySession has neither secrets nor a link.
func emptySession(client bool, peer *keys.PublicIdentity, cfg Config) *Session {
	s := &Session{
		protocol:   cfg.Protocol,
		client:     client,
		stated:     peer,
		peer:       peer,
		proof:      cfg.Proof,
		maxMessage: cfg.MaxMessage,
		keepAlive:  max(cfg.KeepAlive, 0),
		rekeyAfter: max(cfg.RekeyAfter, 0),
		random:     cfg.random,
		secret:     new(secret),
		out:        outbox{credit: initialCredit, window: uint64(cfg.Window)},
		in:         inbox{granted: initialCredit, unusedCredit: initialCredit, window: uint64(cfg.Window), stored: cfg.Stored},
	}
	s.in.pieceAckDelay = pieceAckDelay(s.keepAlive)
	if !client {
		s.keepAlive += s.keepAlive / 2
		s.rekeyAfter += s.rekeyAfter / 3
	}
	return s
}

// ID returns a value that both ends share and nobody else knows, unique to this
// session.
func (s *Session) ID() [32]byte { return s.id }

// Born returns when the handshake was that made the session. It is good for measuring how
// long ago that was; the wall clock may have been set since.
func (s *Session) Born() time.Time { return s.born }

// Client reports whether this end is the client.
func (s *Session) Client() bool { return s.client }

// Proof returns what both ends have agreed that messages carry.
func (s *Session) Proof() Proof { return s.proof }

// MaxMessage returns the largest message in bytes.
func (s *Session) MaxMessage() int { return s.maxMessage }

// Peer returns the other end's identity as it was last accepted: in the handshake, a
// resume, or by [Link.Decided].
func (s *Session) Peer() *keys.PublicIdentity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// Stated returns the latest statement of the peer's root that the peer has shown, whether
// or not it was accepted. What the peer signs is checked by it, and nothing else follows
// from it.
func (s *Session) Stated() *keys.PublicIdentity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stated
}

// progress returns what has arrived here.
func (s *Session) progress() progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.progress()
}

// secretFor returns the resume secret that has this id.
func (s *Session) secretFor(id [32]byte) ([secretSize]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range []*secret{s.secret, s.next} {
		if x != nil && resumeID(x.value) == id {
			return x.value, true
		}
	}
	return [secretSize]byte{}, false
}

// confirm is called for each record that opens on the link that counts. To a server
// the first one under keys that came with the next secret says that the client has it.
func (s *Session) confirmNext() {
	if s.next != nil && !s.link.rekey.unconfirmed {
		s.secret, s.next = s.next, nil
	}
}

// Link returns the link that the session has now, or nil.
func (s *Session) Link() *Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// Consumed says that the application has taken a message of size bytes, so that
// the other end may send another. Opening alone does not: a driver may keep
// messages that nobody has asked for yet, and this is what bounds them. Messages that
// need no credit, see [Kind.Free], are not consumed.
func (s *Session) Consumed(now time.Time, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.consumeNext(now, size)
}

// Took is Consumed for a [Config].Stored session whose application takes messages in
// another order than theirs: it says which one.
func (s *Session) ConsumedNumber(now time.Time, number uint64, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.consumeNumber(now, number, size)
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

// SendProgress returns a figure that changes whenever the other end tells that more bytes of
// messages have arrived there. The figure means nothing else.
func (s *Session) SendProgress() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.last + s.out.arrived
}

// ReceiveProgress returns a figure that changes whenever more bytes of messages have arrived
// here. The figure means nothing else.
func (s *Session) ReceiveProgress() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.progress().arrived
}

// Ask has [Link.Control] ask the other end whether the last message has arrived,
// unless it was asked already.
func (s *Session) Ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.wantAck()
}

// Settle has [Link.Control] acknowledge at once what has arrived, rather than wait for
// more: for an end that is about to close.
func (s *Session) AckNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in.safe().number > s.in.ackSent {
		s.in.ackAt = longAgo
	}
}

// Deadline returns when the next call of [Link.Control] is due, which may have
// passed, or the zero time if none is.
func (s *Session) Deadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline()
}

// Deadline is [Session.Deadline] while l is the session's link, else the zero time.
func (l *Link) Deadline() time.Time {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return time.Time{}
	}
	return s.deadline()
}

// longAgo is a deadline that has passed, whatever the time.
var longAgo = time.Time{}.Add(1)

func (s *Session) deadline() time.Time {
	switch {
	case s.link == nil:
		return time.Time{}
	case s.out.askDue(), s.link.update.pending():
		return longAgo
	}
	return earlier(earlier(s.in.ackAt, s.silence()), s.link.rekey.due)
}

// silence returns when it is time to ask whether the other end is there, or, after
// that, to believe that it is not.
func (s *Session) silence() time.Time {
	switch {
	case s.keepAlive == 0:
		return time.Time{}
	case s.link.probing:
		return s.link.lastHeard.Add(2 * s.keepAlive)
	}
	return s.link.lastHeard.Add(s.keepAlive)
}

// earlier returns the earlier of two deadlines, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Unacked returns copies of the messages that are not known to have arrived, and
// the number of the first.
func (s *Session) Unacked() (first uint64, messages [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unacked()
}

func (s *Session) unacked() (first uint64, messages [][]byte) {
	for offset, n := 0, s.out.acked; n < s.out.last && !s.out.unacked.empty(); n++ {
		plain := s.out.unacked.at(offset)
		offset += len(plain)
		_, message, _ := parsePadded(plain, 0)
		messages = append(messages, bytes.Clone(message))
	}
	return s.out.acked + 1, messages
}

// Forget ends the session: its link counts no more, it cannot be resumed, and the
// messages are dropped that were kept for sending them again. They have to stay
// secret like the keys.
func (s *Session) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// Finish numbers no more messages from here on: Seal and Queue return [ErrFinished]. It
// returns the number of the last one.
func (s *Session) Finish() (last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.finished = true
	return s.out.last
}

// Conclude ends the session but for the close record: no message is numbered any more,
// and nobody can resume it. It returns what [Session.Unacked] does, so every message that
// Seal took is either known to have arrived or among them.
func (s *Session) Conclude() (first uint64, messages [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.finished = true
	s.secret, s.next = nil, nil
	return s.unacked()
}

func (s *Session) forget() {
	s.unlink()
	s.secret, s.next, s.out.unacked, s.in.partial = nil, nil, queue{}, partial{}
}

// unlink has the link count no more. What a rekey has left on it goes; its driver drops
// the rest.
func (s *Session) unlink() {
	if s.link != nil {
		s.link.rekey.drop()
	}
	s.link = nil
}

// Format prints no secrets, whatever the verb (A42).
func (s *Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Session(redacted)") }
