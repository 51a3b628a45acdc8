package peer

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/hopseal/hopseal/transport"
)

// What one member sends to another through the relay, for a link between the two:
//
//	size  meaning
//	1     kind
//	16    link id: random, chosen by the member that opens the link
//	rest  open, data: one message · close: code u16, reason · confirm: nothing
//
// It protects nothing: whatever the relay changes is noticed by the session inside.
const (
	kindOpen    = 1 // the first message of a link
	kindData    = 2 // a further message, in either direction
	kindClose   = 3 // the link is over
	kindConfirm = 4 // the member that opened it has made a session, and keeps it
)

const (
	idSize   = 16
	headSize = 1 + idSize

	maxReason = 123 // bytes, as in a WebSocket
)

type linkID [idSize]byte

type frame struct {
	kind byte
	id   linkID
	body []byte
}

func (f frame) append(dst []byte) []byte {
	return append(append(append(dst, f.kind), f.id[:]...), f.body...)
}

// parse reports false for what is no frame. The body is part of b.
func parse(b []byte) (f frame, ok bool) {
	if len(b) < headSize || b[0] < kindOpen || b[0] > kindConfirm {
		return frame{}, false
	}
	f.kind, f.body = b[0], b[headSize:]
	copy(f.id[:], b[1:])
	switch f.kind {
	case kindClose:
		_, _, ok = parseClose(f.body)
		return f, ok
	case kindConfirm:
		return f, len(f.body) == 0
	}
	return f, true
}

func closeBody(code transport.Code, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

func parseClose(b []byte) (code transport.Code, reason string, ok bool) {
	if len(b) < 2 || len(b) > 2+maxReason || !utf8.Valid(b[2:]) {
		return 0, "", false
	}
	return transport.Code(binary.BigEndian.Uint16(b)), string(b[2:]), true
}
