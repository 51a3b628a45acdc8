package engine

import (
	"encoding/binary"
	"slices"
)

// The sender cuts a message's padded plaintext into pieces of pieceSize bytes and a last
// one with the rest. Each piece is a record of its own: type 5, and type 1 for the last.
// So acks and keep-alives wait for one piece at most, and a link need not take more at
// once. On a line that loses such pieces they have smallPieceSize bytes, see
// [outbox].smallPieces. The length at the front of the first piece says how much follows.
const (
	pieceSize      = 64 << 10
	smallPieceSize = 4 << 10
)

// cutPiece returns the next piece, of size bytes, of what is left of a padded plaintext,
// and the type of its record.
func cutPiece(plain []byte, size int) (piece []byte, kind byte) {
	if len(plain) > size {
		return plain[:size], typePart
	}
	return plain, typeData
}

// partial describes the message of which some pieces have arrived. The driver has the
// bytes. partial outlives the link: the next link continues after what has arrived.
type partial struct {
	size int  // of the message, in bytes
	got  int  // how many of these bytes have arrived
	left int  // bytes of padded plaintext to come; 0 if no message has begun
	free bool // the message needs no credit
	asks bool // the message is a request
}

// arrived returns how many bytes of padded plaintext have arrived.
func (p *partial) arrived() uint64 {
	if p.left == 0 {
		return 0
	}
	return cost(p.size) - uint64(p.left)
}

// fits reports whether a record with size bytes of plaintext can be the next piece. Nobody
// knows the size of a message's only piece before it is opened.
func (p *partial) fits(kind byte, size int) bool {
	switch {
	case kind == typePart:
		return (size == pieceSize || size == smallPieceSize) && (p.left == 0 || size < p.left)
	case p.left > 0:
		return size == p.left
	}
	return true
}

// grow returns dst with room for the next piece. Memory grows with what has arrived, to
// four times as much at most, and never with what a length announces (A28).
func (p *partial) grow(dst []byte, size int) []byte {
	if p.left == 0 || cap(dst)-len(dst) >= size {
		return dst
	}
	return slices.Grow(dst, min(p.left, 3*(p.got+size)))
}

// take counts the next piece. It returns the part of the plaintext that belongs to the
// message, or why it refuses the piece. As in [parsePadded], the size must be that of the
// bucket, and the padding must be zeros.
func (p *partial) take(kind byte, plain []byte, most int) (data []byte, _ Reason) {
	data = plain
	if p.left == 0 {
		n := binary.BigEndian.Uint32(plain)
		if uint64(n) > uint64(most) {
			return nil, ReasonLength
		}
		*p = partial{size: int(n), left: bucket(lengthSize + int(n))}
		data = plain[lengthSize:]
		p.free = p.size > 0 && kindOf(nil, data).Free()
		p.asks = p.size > 0 && kindOf(nil, data) == KindRequest
	}
	n := min(len(data), p.size-p.got)
	if !p.fits(kind, len(plain)) || !allZero(data[n:]) {
		return nil, ReasonEncoding
	}
	p.got += n
	p.left -= len(plain)
	return data[:n], 0
}
