package engine

import (
	"crypto/cipher"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/label"
)

// A record is one frame:
//
//	size      meaning                                                 seen by a hop
//	1         bits 0-4 type, bit 5 last, bits 6-7 epoch               yes
//	variable  AES-256-GCM of the padded plaintext                     length, in buckets
//	16        tag
//
// The bit "last" says that the sender's keys move on after this record. Epochs are
// those of the healing rekey, counted modulo 4 from 0 on each link. The key is that
// of the direction, its epoch and its generation, the nonce the record's number in its
// direction, which is not sent, and the associated data
//
//	label ‖ first byte ‖ link id
//
// where the link id of a session's first link is the session's, and of an epoch but the
// first its own.
const (
	headSize = 1

	typeMask  = 0x1f
	lastFlag  = 0x20
	epochMask = 0xc0
	epochStep = 0x40

	typeData  = 1 // a message, or its last piece
	typeClose = 2 // closeFieldsSize bytes of fields, no data; nothing follows; see close.go
	typeAck   = 3 // what has arrived and may be sent, see ackFieldsSize; no data
	typeAsk   = 4 // no fields, no data; asks for an ack
	typePart  = 5 // a piece of a message, not its last; see piece.go

	typeRekeyWanted  = 6 // no fields, no data; a server asks its client to begin a rekey
	typeRekeyRequest = 7 // rekeyRequestSize bytes of fields, no data
	typeRekeyAnswer  = 8 // rekeyAnswerSize bytes of fields, no data
	typeSwitch       = 9 // no fields, no data; the last record of its epoch in this direction

	typeUpdate       = 10 // no fields; data says who the sender is now, and what it has to show
	typeUpdateAnswer = 11 // updateAnswerSize bytes of fields, no data
)

// recordOverhead is what a record adds to its padded plaintext.
const recordOverhead = headSize + tagSize

// MaxFrame returns the size in bytes of the largest record that carries a message of
// n bytes or a piece of it: what a transport must let through, and never less than a
// handshake needs.
func MaxFrame(n int) int {
	return max(MaxHandshakeFrame, recordOverhead+min(pieceSize, bucket(lengthSize+n)))
}

// A generation of keys ends after this many records in its direction, by
// counting, or after the record that passes one of the other two bounds, by the
// flag. What was sent under it can then no longer be opened by anybody who learns
// the state of an end.
const (
	generationRecords = 1024
	generationBytes   = 16 << 20
	generationAge     = 60 * time.Second
)

// A receiver holds the other end to these bounds. By age an honest one ends a generation
// once in generationAge; twice as many, and some to begin with, are let pass, since the two
// clocks differ and a link does not begin at both ends at once. Each end costs a step of
// the chain and a key schedule, which otherwise every record could.
const (
	earlyEnds  = 4
	earlyEvery = generationAge / 2
)

// lastRecord is the number of a direction's last record. At a million records a
// second it is nine years away; it is there so that no bug can make a number, and
// so a nonce, come round again.
const lastRecord = 1<<48 - 1

// half is one direction of a link: its keys, and its place in them.
type half struct {
	aead  cipher.AEAD      // nil once the half is dead
	chain [secretSize]byte // makes the next generation; the one in use cannot be found from it

	number  uint64 // of the next record, from 0
	limit   uint64 // of the last one
	records int    // in this generation
	bytes   int
	until   time.Time // its end by age, set by its first record

	began time.Time // the link
	early int       // generations that the other end has ended before they were full

	nonce [12]byte
	epoch byte // as in the first byte of records
	aad   []byte
	plain [minBucket]byte // of a record without data
}

func newHalf(secret, id []byte) half {
	h := half{limit: lastRecord}
	copy(h.chain[:], secret)
	h.aad = label.SessionRecord.With([]byte{0}, id)
	h.advance()
	return h
}

// advance moves to the next generation. The chain gives a key and its own
// successor, and neither leads back to it.
func (h *half) advance() {
	out := expand(h.chain[:], []byte(label.SessionNextKey), secretSize+keySize)
	h.aead = newAEAD(out[secretSize:])
	copy(h.chain[:], out)
	clear(out)
	h.records, h.bytes = 0, 0
}

// fresh is what a direction begins an epoch with.
type fresh struct{ chain, id []byte }

// renew moves to the next epoch. Nothing of this one leads there. Numbers go on: they
// stay within their bound, and would not repeat if a key ever did.
func (h *half) renew(next *fresh) {
	before := *h
	*h = newHalf(next.chain, next.id)
	h.number, h.limit, h.epoch = before.number, before.limit, before.epoch+epochStep // 3 is followed by 0
	h.began, h.early = before.began, before.early
	clear(next.chain)
}

// id returns the link id.
func (h *half) id() []byte { return h.aad[len(label.SessionRecord)+1:] }

// next makes the nonce and the associated data of the next record. It reports
// whether there is one.
func (h *half) next(head byte) bool {
	if h.aead == nil || h.number > h.limit {
		return false
	}
	binary.BigEndian.PutUint64(h.nonce[4:], h.number)
	h.aad[len(label.SessionRecord)] = head
	h.number++
	h.records++
	return true
}

// due reports whether the record of this size at this time should be the last of
// its generation.
func (h *half) due(now time.Time, size int) bool {
	if h.records == 0 {
		h.until = now.Add(generationAge)
	}
	h.bytes += size
	return h.bytes >= generationBytes || !now.Before(h.until)
}

// done moves on if the record just sealed or opened was the last of its
// generation.
func (h *half) done(head byte) {
	if h.records == generationRecords || head&lastFlag != 0 {
		h.advance()
	}
}

// sealFields appends a record without data.
func (h *half) sealFields(now time.Time, dst []byte, kind byte, fields []byte) ([]byte, error) {
	return h.seal(now, dst, kind, appendPadded(h.plain[:0], fields, nil))
}

// seal appends one record with a padded plaintext.
func (h *half) seal(now time.Time, dst []byte, kind byte, plain []byte) ([]byte, error) {
	if h.aead == nil {
		return dst, ErrClosed
	}
	head := kind | h.epoch
	if h.due(now, len(plain)) {
		head |= lastFlag
	}
	if !h.next(head) {
		h.drop()
		return dst, ErrExhausted
	}
	dst = append(slices.Grow(dst, len(plain)+recordOverhead), head)
	dst = h.aead.Seal(dst, h.nonce[:], plain, h.aad)
	h.done(head)
	return dst, nil
}

// open appends the padded plaintext of one record, or returns why it is refused.
func (h *half) open(now time.Time, dst, frame []byte) ([]byte, Reason) {
	head := frame[0]
	if !h.next(head) {
		return dst, ReasonCipher
	}
	out, err := h.aead.Open(dst, h.nonce[:], frame[headSize:], h.aad)
	if err != nil {
		return dst, ReasonCipher
	}
	if !h.bounded(now, head, len(out)-len(dst)) {
		return dst, ReasonGeneration
	}
	h.done(head)
	return out, 0
}

// bounded reports whether the other end keeps to the bounds of generations with a record
// of this size: it ends one that is full, and not too many that are not.
func (h *half) bounded(now time.Time, head byte, size int) bool {
	h.bytes += size
	last := head&lastFlag != 0
	switch {
	case h.bytes >= generationBytes:
		return last
	case !last || h.records == generationRecords:
		return true
	}
	h.early++
	return h.early <= earlyEnds+int(elapsed(h.began, now)/earlyEvery)
}

// elapsed is the time between two moments by whichever clock says that it was longer. The
// monotonic one may stand still while a machine sleeps, and what its link has carried
// meanwhile comes when it wakes.
func elapsed(from, to time.Time) time.Duration {
	return max(0, to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

func (h *half) drop() { *h = half{} }
