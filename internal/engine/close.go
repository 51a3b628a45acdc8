package engine

import (
	"encoding/binary"
	"time"
)

// A CloseCode is why an end closed a session. It is authenticated and encrypted.
type CloseCode uint16

// CloseDone says that the sender has sent every message it accepted: nothing is missing.
// Drivers give other codes their meaning.
const CloseDone CloseCode = 0

// A close has these fields, and no data:
//
//	size  meaning
//	2     code
//	8     last: the number of the sender's last message, sealed or not
//
// With code 0 every message through last was sealed completely on this link. A receiver that
// counts another number has not got all that the sender meant it to have.
const closeFieldsSize = 2 + 8

// closing is what the other end said in its close.
type closing struct {
	code    CloseCode
	missing uint64 // messages that have not arrived
}

// SealClose appends the last frame of this direction. Without it the other end cannot tell
// a close from a cut connection, and reports a cut. The session takes no message to send
// after it.
//
// With [CloseDone], if a message was not sealed completely on this link, SealClose seals
// nothing and returns [ErrUnfinished]. Other errors are those of [Link.Seal].
func (l *Link) SealClose(now time.Time, dst []byte, code CloseCode) ([]byte, error) {
	if l.send.aead == nil {
		return dst, ErrClosed
	}
	last, whole := l.session.finish(l)
	if code == CloseDone && !whole {
		return dst, ErrUnfinished
	}
	var fields [closeFieldsSize]byte
	dst, err := l.send.sealFields(now, dst, typeClose, appendClose(fields[:0], code, last))
	l.send.drop()
	return dst, err
}

// finish is [Session.Finish] that also reports whether everything was sealed on l.
func (s *Session) finish(l *Link) (last uint64, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.finished = true
	return s.out.last, s.link == l && s.out.cursor == s.out.last
}

func appendClose(dst []byte, code CloseCode, last uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(dst, uint16(code)), last)
}

func parseClose(fields []byte) (code CloseCode, last uint64) {
	return CloseCode(binary.BigEndian.Uint16(fields)), binary.BigEndian.Uint64(fields[2:])
}

// takeClose takes in a close that an honest end can send: it counts no fewer messages than
// have arrived, and one with [CloseDone] counts no more. The caller holds the session's mu.
func (l *Link) takeClose(fields []byte) (Event, error) {
	code, last := parseClose(fields)
	received := l.session.in.received
	complete := last == received && l.partial.left == 0
	if last < received || last > maxCost || code == CloseDone && !complete {
		return 0, &Error{ReasonClose, ErrRecord}
	}
	l.peerClose = closing{code, last - received}
	l.recv.drop()
	return PeerClose, nil
}

// PeerCode returns the code of the other end's close, after [PeerClose].
func (l *Link) PeerCode() CloseCode { return l.peerClose.code }

// PeerMissing returns how many of the other end's messages have not arrived, after
// [PeerClose]. It is 0 if PeerCode returns [CloseDone].
func (l *Link) PeerMissing() uint64 { return l.peerClose.missing }

// Condemn closes the session to every resume if l is its current link: the other end must
// not come back at all. It reports whether l is; otherwise it changes nothing.
func (l *Link) Condemn() bool {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return false
	}
	s.secret, s.next = nil, nil
	return true
}
