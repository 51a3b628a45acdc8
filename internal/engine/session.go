package engine

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// Session is one end of an established session. It outlives its connections and knows
// what has arrived at either end. It is safe for concurrent use. It redacts itself when
// printed.
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

	mu   sync.Mutex // guards what follows; held for moments, never during encryption
	link *Link      // the current one; nil while there is none

	stated *keys.PublicIdentity // the peer's latest statement about its keys; its signatures are checked by it
	peer   *keys.PublicIdentity // the statement that the driver accepted last: who the peer is

	out outbox
	in  inbox

	stats stats

	secret *secret   // makes the next link; nil once the session is forgotten
	next   *secret   // replaces secret at a server, as soon as the server knows that the client has it
	healed time.Time // when the last ML-KEM exchange was, on any link
}

// newSession makes a session and its first link from the key schedule of a handshake.
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

// emptySession returns a session without secrets and without a link.
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

// Born returns when the session's handshake ended. Use it to measure the session's age: as
// a date it may be wrong, since the wall clock may have been set meanwhile.
func (s *Session) Born() time.Time { return s.born }

// Client reports whether this end is the client.
func (s *Session) Client() bool { return s.client }

// Proof returns the kind of proof that both ends have agreed on.
func (s *Session) Proof() Proof { return s.proof }

// MaxMessage returns the largest message in bytes.
func (s *Session) MaxMessage() int { return s.maxMessage }

// Peer returns the other end's identity as the driver accepted it last: in the handshake,
// in a resume, or with [Link.Decided].
func (s *Session) Peer() *keys.PublicIdentity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// Stated returns the latest statement of the peer's root that the peer has shown, accepted
// or not. Use it to check the peer's signatures, and for nothing else.
func (s *Session) Stated() *keys.PublicIdentity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stated
}

// progress returns what has arrived at this end.
func (s *Session) progress() progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.progress()
}

// secretFor returns the resume secret with this id.
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

// confirmNext runs for each record that opens on the current link. The first record under
// keys that came with the next secret tells a server that the client has that secret.
func (s *Session) confirmNext() {
	if s.next != nil && !s.link.rekey.unconfirmed {
		s.secret, s.next = s.next, nil
	}
}

// Link returns the session's current link, or nil.
func (s *Session) Link() *Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// Consumed says that the application has taken a message of size bytes, so that the
// other end may send another. Opening a message does not give that credit: a driver may
// keep messages that nobody has asked for yet, and the credit bounds them. Do not call
// it for messages that need no credit, see [Kind.Free].
func (s *Session) Consumed(now time.Time, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.consumeNext(now, size)
}

// ConsumedNumber is Consumed for a [Config].Stored session whose application takes messages
// out of order: it also names the message.
func (s *Session) ConsumedNumber(now time.Time, number uint64, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.consumeNumber(now, number, size)
}

// Sent returns the number of the last message that this end took to send. Messages are
// numbered from 1.
func (s *Session) Sent() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.last
}

// Received returns the number of the last message that has come.
func (s *Session) Received() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.received
}

// Acked returns the number of the last message that the other end has acknowledged.
func (s *Session) Acked() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.acked
}

// SendProgress returns a figure that changes whenever this end takes a message to send or
// learns that bytes of its messages have arrived. It means nothing else.
func (s *Session) SendProgress() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.last + s.out.arrived
}

// ReceiveProgress returns a figure that changes whenever bytes of the other end's messages
// have arrived. It means nothing else.
func (s *Session) ReceiveProgress() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.progress().arrived
}

// Ask makes [Link.Control] ask the other end whether the last message has arrived, unless
// it has asked already.
func (s *Session) Ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.wantAck()
}

// AckNow makes [Link.Control] acknowledge at once what has arrived, instead of waiting for
// more. An end that is about to close calls it.
func (s *Session) AckNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in.safe().number > s.in.ackSent {
		s.in.ackAt = longAgo
	}
}

// Deadline returns when the next call of [Link.Control] is due. It may have passed. The
// zero time means that no call is due.
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

// longAgo is a deadline that has passed at any time.
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

// silence returns the end of the silence that this end bears. It then asks whether the
// other end is there; if it has asked already, it gives the link up.
func (s *Session) silence() time.Time {
	switch {
	case s.keepAlive == 0:
		return time.Time{}
	case s.link.probing:
		return s.link.lastHeard.Add(2 * s.keepAlive)
	}
	return s.link.lastHeard.Add(s.keepAlive)
}

// earlier returns the earlier of two deadlines. The zero time stands for no deadline.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Unacked returns copies of the messages that the other end has not acknowledged, and the
// number of the first.
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

// Forget ends the session: it has no link any more and cannot be resumed. It also drops
// the messages that were kept for sending them again, which are as secret as the keys.
func (s *Session) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// Finish ends the sending of messages: from here on Seal and Queue return [ErrFinished].
// It returns the number of the last message.
func (s *Session) Finish() (last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.finished = true
	return s.out.last
}

// Conclude ends the session, but leaves its link for the close record: this end takes no
// more messages to send, and nobody can resume the session. It returns what
// [Session.Unacked] does. So every message that Seal took is either acknowledged or among
// the returned ones.
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

// unlink leaves the session without a link. It drops the secrets of a rekey on the old
// link; the link's driver drops the rest.
func (s *Session) unlink() {
	if s.link != nil {
		s.link.rekey.drop()
	}
	s.link = nil
}

// Format prints no secrets, whatever the verb (A42).
func (s *Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Session(redacted)") }
