package engine

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"
)

// A Kind is what a message of the applications is for.
type Kind byte

// Kinds.
const (
	KindMessage Kind = iota // wants no answer
	KindRequest             // wants an answer
	KindAnswer              // answers a request
	KindRefusal             // says that a message or a request was not taken; its body is a code

	KindStreamOpen   // begins a stream; the message's number is the stream's
	KindStreamPiece  // is a part of the stream
	KindStreamEnd    // says that the stream is complete
	KindStreamAbort  // says that no more follows, and that the stream is not complete
	KindStreamCancel // from the receiver: it wants no more
	KindStreamCredit // from the receiver: how much of the stream may be sent
	KindStreamDone   // from the receiver, after the stream's end: nothing of the stream is left there

	lastKind = KindStreamDone
)

// MaxType is the longest type of a message, in bytes.
const MaxType = 128

// MaxHeader is the size in bytes of the largest header, and of the signature that may
// follow it.
const MaxHeader = headerSize + MaxType + answersSize + SignatureSize

const (
	headerSize  = 8
	answersSize = 8
)

// A Header begins the data of a record:
//
//	size  meaning
//	1     kind
//	6     when it was sent, by the sender's clock, in milliseconds since 1970
//	1     length n of the type; 0 in messages that have the number below
//	n     type: UTF-8
//	8     number of the message that this one answers, or that has begun its stream; not
//	      in messages, requests, and what begins a stream
//
// The body follows. A [Link] reads nothing of all this but the kind: see [Kind.Free].
type Header struct {
	Kind    Kind
	Time    time.Time
	Type    string
	Answers uint64
}

// answers reports whether messages of the kind contain the number of another message.
func (k Kind) answers() bool {
	return k == KindAnswer || k == KindRefusal || k > KindStreamOpen && k <= lastKind
}

// Free reports whether messages of the kind need no credit. Whoever sent a request takes
// the answer at once. An end takes requests at once too, and refuses them where there are
// too many. If answers or requests had to wait behind messages that nobody has taken yet,
// two ends that ask each other before they take more would wait for ever. The pieces of
// a stream need that stream's own credit instead, which the drivers count. So if nobody
// reads a stream, only its writer waits.
func (k Kind) Free() bool { return k.apart() || k == KindStreamPiece || k == KindStreamEnd }

// apart reports whether an end counts messages of the kind apart from others among those
// that it keeps until they are acknowledged. The pieces and the end of a stream are not
// counted apart, though they need no credit: a large stream would stand before every answer.
func (k Kind) apart() bool {
	switch k {
	case KindRequest, KindAnswer, KindRefusal, KindStreamAbort, KindStreamCancel, KindStreamCredit, KindStreamDone:
		return true
	}
	return false
}

// kindOf returns the kind of a message. Without a header, the body is the whole message.
func kindOf(header, body []byte) Kind {
	switch {
	case len(header) > 0:
		return Kind(header[0])
	case len(body) > 0:
		return Kind(body[0])
	}
	return KindMessage
}

var errHeader = errors.New("engine: malformed message")

// Append appends the header. The type must be valid, see [ValidType], and the time must
// fit in 48 bits.
func (h *Header) Append(dst []byte) []byte {
	ms := uint64(h.Time.UnixMilli()) & (1<<48 - 1)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Kind)<<56|ms<<8|uint64(len(h.Type)))
	dst = append(dst, h.Type...)
	if h.Kind.answers() {
		dst = binary.BigEndian.AppendUint64(dst, h.Answers)
	}
	return dst
}

// ValidType reports whether a message can have this type.
func ValidType(s string) bool { return len(s) <= MaxType && utf8.ValidString(s) }

// ParseHeader reads the header of a message and returns its size in bytes. known is the
// type of an earlier message: if this one has the same, ParseHeader allocates nothing.
// The error is the same whatever is wrong.
func ParseHeader(message []byte, known string) (h Header, size int, _ error) {
	if len(message) < headerSize {
		return h, 0, errHeader
	}
	fixed := binary.BigEndian.Uint64(message)
	h.Kind, h.Time = Kind(fixed>>56), time.UnixMilli(int64(fixed<<8>>16))
	typeSize, size := int(byte(fixed)), headerSize+int(byte(fixed))
	if h.Kind.answers() {
		size += answersSize
	}
	if h.Kind > lastKind || typeSize > MaxType || h.Kind.answers() && typeSize > 0 || len(message) < size {
		return Header{}, 0, errHeader
	}
	name := message[headerSize : headerSize+typeSize]
	if !utf8.Valid(name) {
		return Header{}, 0, errHeader
	}
	if h.Type = known; string(name) != known {
		h.Type = string(name)
	}
	if h.Kind.answers() {
		h.Answers = binary.BigEndian.Uint64(message[size-answersSize:])
	}
	return h, size, nil
}
