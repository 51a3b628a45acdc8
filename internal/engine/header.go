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
	KindRequest             // wants one
	KindAnswer              // is one
	KindRefusal             // says that a message, or a request, was not taken; its body is a code

	KindStreamOpen   // begins a stream; its number is that of the stream
	KindStreamPiece  // some of it
	KindStreamEnd    // it is complete
	KindStreamAbort  // there is no more, and it is not complete
	KindStreamCancel // by the other end: it wants no more
	KindStreamCredit // by the other end: how much of it may be sent
	KindStreamDone   // by the other end, behind the end: nothing of it is left there

	lastKind = KindStreamDone
)

// MaxType is the longest type of a message, in bytes.
const MaxType = 128

// MaxHeader is the size in bytes of the largest header, with the signature that may
// follow it.
const MaxHeader = headerSize + MaxType + answersSize + SignatureSize

const (
	headerSize  = 8
	answersSize = 8
)

// A Header is what the data of a record begins with:
//
//	size  meaning
//	1     kind
//	6     when it was sent, by the sender's clock, in milliseconds since 1970
//	1     length n of the type
//	n     type: UTF-8; none where there is such a number
//	8     number of the message that this one answers, or that has begun its stream; not
//	      in messages, requests, and what begins a stream
//
// The body follows. All of it is opaque to a [Link], but for the kind: see [Kind.Free].
type Header struct {
	Kind    Kind
	Time    time.Time
	Type    string
	Answers uint64
}

// answers reports whether messages of the kind name another one.
func (k Kind) answers() bool {
	return k == KindAnswer || k == KindRefusal || k > KindStreamOpen && k <= lastKind
}

// Free reports whether messages of the kind need no credit. An answer was asked for,
// so whoever asked takes it at once. So do ends with requests, which they refuse where
// there are too many. If either had to wait behind messages that nobody has taken yet,
// two ends that ask each other before they take more would wait for ever. The pieces of
// a stream need the credit of that stream instead, which the drivers count: nothing but
// its own writer waits for whoever does not read it.
func (k Kind) Free() bool { return k.apart() || k == KindStreamPiece || k == KindStreamEnd }

// apart reports whether messages of the kind are counted apart from others in what an
// end keeps until it is acknowledged. Those of streams are not, though they need no
// credit: a large stream would stand before every answer.
func (k Kind) apart() bool {
	switch k {
	case KindRequest, KindAnswer, KindRefusal, KindStreamAbort, KindStreamCancel, KindStreamCredit, KindStreamDone:
		return true
	}
	return false
}

// kindOf returns the kind of the message that these are the header and the body of, or
// all of it the body.
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

// Append appends the header. The type must be valid, see [ValidType], and the time one
// that 48 bits have room for.
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

// ParseHeader reads the header of a message and returns its size in bytes. The known
// type is that of an earlier message: where this one has the same, nothing is
// allocated. There is one error, which says no more.
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
