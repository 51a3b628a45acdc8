package engine

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/label"
)

// Event is what an opened record was.
type Event int

// Events.
const (
	Message   Event = iota + 1 // a message, appended to dst
	PeerClose                  // the other end has closed; [Session.PeerCode] says why
)

// A CloseCode is why an end closed a session. It is authenticated and encrypted.
type CloseCode uint16

// Session is one end of an established session. It redacts itself when printed.
//
// Seal, SealClose and DropSend use one half of it, Open and DropReceive the other: a
// driver needs a lock for each half if several goroutines use it.
type Session struct {
	id         [secretSize]byte
	maxMessage int
	send, recv *half
	peerCode   CloseCode
}

func newSession(s *schedule, client bool, maxMessage int) *Session {
	id := s.derive(label.SessionID)
	mine, theirs := label.SessionClientKey, label.SessionServerKey
	if !client {
		mine, theirs = theirs, mine
	}
	session := &Session{
		maxMessage: maxMessage,
		send:       newHalf(s.derive(mine), id),
		recv:       newHalf(s.derive(theirs), id),
	}
	copy(session.id[:], id)
	return session
}

// ID returns a value that both ends share and nobody else knows, unique to this
// session.
func (s *Session) ID() [32]byte { return s.id }

// MaxMessage returns the largest message in bytes.
func (s *Session) MaxMessage() int { return s.maxMessage }

// Seal appends to dst the frame that carries message, which must not overlap
// dst's spare capacity. It allocates only to grow dst. A frame that was sealed
// must be sent, after those sealed before it and before any other: a gap ends the
// session at the other end.
//
// Errors: [ErrTooLarge], which changes nothing; [ErrClosed]; [ErrExhausted].
func (s *Session) Seal(now time.Time, dst, message []byte) ([]byte, error) {
	if len(message) > s.maxMessage {
		return dst, ErrTooLarge
	}
	return s.send.seal(now, dst, typeData, nil, message)
}

// SealClose appends the last frame of this direction. Without it the other end
// cannot tell an end from a cut, and reports the latter.
func (s *Session) SealClose(now time.Time, dst []byte, code CloseCode) ([]byte, error) {
	var fields [closeFieldsSize]byte
	binary.BigEndian.PutUint16(fields[:], uint16(code))
	dst, err := s.send.seal(now, dst, typeClose, fields[:], nil)
	s.send.drop()
	return dst, err
}

// Open opens the next frame from the other end and appends its message, if it is
// one, to dst, which must not overlap frame. It grows dst by the size of the
// frame and otherwise allocates nothing. Any error is the end of the session:
// [Error] of kind [ErrRecord], or [ErrClosed].
func (s *Session) Open(dst, frame []byte) ([]byte, Event, error) {
	if s.recv.aead == nil {
		return dst, 0, ErrClosed
	}
	// Everything that is known without the key comes first.
	if len(frame) < recordOverhead+minBucket || len(frame) > MaxFrame(s.maxMessage) {
		return s.refuse(dst, ReasonSize)
	}
	kind := frame[0] & typeMask
	if frame[0]&epochMask != 0 || kind != typeData && kind != typeClose {
		return s.refuse(dst, ReasonType)
	}
	out, ok := s.recv.open(dst, frame)
	if !ok {
		return s.refuse(dst, ReasonCipher)
	}
	if kind == typeClose {
		return s.openClose(dst, out[len(dst):])
	}
	_, data, ok := parsePadded(out[len(dst):], 0)
	if !ok || len(data) > s.maxMessage {
		return s.refuse(dst, ReasonEncoding)
	}
	return append(out[:len(dst)], data...), Message, nil
}

func (s *Session) openClose(dst, plain []byte) ([]byte, Event, error) {
	fields, data, ok := parsePadded(plain, closeFieldsSize)
	if !ok || len(data) != 0 {
		return s.refuse(dst, ReasonEncoding)
	}
	s.peerCode = CloseCode(binary.BigEndian.Uint16(fields))
	s.recv.drop()
	return dst, PeerClose, nil
}

// PeerCode returns the code of the other end's close, after [PeerClose].
func (s *Session) PeerCode() CloseCode { return s.peerCode }

func (s *Session) refuse(dst []byte, reason Reason) ([]byte, Event, error) {
	s.recv.drop()
	return dst, 0, &Error{reason, ErrRecord}
}

// DropSend forgets the keys of this end's direction, DropReceive those of the
// other's. Go cannot promise that no copy is left in memory; there is none that
// this package could still reach.
func (s *Session) DropSend() { s.send.drop() }

// DropReceive is described at [Session.DropSend].
func (s *Session) DropReceive() { s.recv.drop() }

// Format prints no secrets, whatever the verb (A42).
func (s Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Session(redacted)") }
