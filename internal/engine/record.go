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
	allowedEarlyEnds = 4
	earlyEndEvery    = generationAge / 2
)

// lastRecord is the number of a direction's last record. At a million records a
// second it is nine years away; it is there so that no bug can make a number, and
// so a nonce, come round again.
const lastRecord = 1<<48 - 1

// half is one direction of a link: its keys, and its place in them.
type direction struct {
	aead  cipher.AEAD      // nil once the half is dead
	chain [secretSize]byte // makes the next generation; the one in use cannot be found from it

	number  uint64 // of the next record, from 0
	limit   uint64 // of the last one
	records int    // in this generation
	bytes   int
	until   time.Time // its end by age, set by its first record

	linkBegan time.Time // the link
	earlyEnds int       // generations that the other end has ended before they were full

	nonce [12]byte
	epoch byte // as in the first byte of records
	aad   []byte
	plain [minBucket]byte // of a record without data
}

func newDirection(secret, id []byte) direction {
	d := direction{limit: lastRecord}
	copy(d.chain[:], secret)
	d.aad = label.SessionRecord.With([]byte{0}, id)
	d.advance()
	return d
}

// advance moves to the next generation. The chain gives a key and its own
// successor, and neither leads back to it.
func (d *direction) advance() {
	out := expand(d.chain[:], []byte(label.SessionNextKey), secretSize+keySize)
	d.aead = newAEAD(out[secretSize:])
	copy(d.chain[:], out)
	clear(out)
	d.records, d.bytes = 0, 0
}

// fresh is what a direction begins an epoch with.
type epochKeys struct{ chain, id []byte }

// renew moves to the next epoch. Nothing of this one leads there. Numbers go on: they
// stay within their bound, and would not repeat if a key ever did.
func (d *direction) startEpoch(next *epochKeys) {
	old := *d
	*d = newDirection(next.chain, next.id)
	d.number, d.limit, d.epoch = old.number, old.limit, old.epoch+epochStep // 3 is followed by 0
	d.linkBegan, d.earlyEnds = old.linkBegan, old.earlyEnds
	clear(next.chain)
}

// id returns the link id.
func (d *direction) id() []byte { return d.aad[len(label.SessionRecord)+1:] }

// next makes the nonce and the associated data of the next record. It reports
// whether there is one.
func (d *direction) next(head byte) bool {
	if d.aead == nil || d.number > d.limit {
		return false
	}
	binary.BigEndian.PutUint64(d.nonce[4:], d.number)
	d.aad[len(label.SessionRecord)] = head
	d.number++
	d.records++
	return true
}

// due reports whether the record of this size at this time should be the last of
// its generation.
func (d *direction) endsGeneration(now time.Time, size int) bool {
	if d.records == 0 {
		d.until = now.Add(generationAge)
	}
	d.bytes += size
	return d.bytes >= generationBytes || !now.Before(d.until)
}

// done moves on if the record just sealed or opened was the last of its
// generation.
func (d *direction) advanceAfter(head byte) {
	if d.records == generationRecords || head&lastFlag != 0 {
		d.advance()
	}
}

// sealFields appends a record without data.
func (d *direction) sealFields(now time.Time, dst []byte, kind byte, fields []byte) ([]byte, error) {
	return d.seal(now, dst, kind, appendPadded(d.plain[:0], fields, nil))
}

// seal appends one record with a padded plaintext.
func (d *direction) seal(now time.Time, dst []byte, kind byte, plain []byte) ([]byte, error) {
	if d.aead == nil {
		return dst, ErrClosed
	}
	head := kind | d.epoch
	if d.endsGeneration(now, len(plain)) {
		head |= lastFlag
	}
	if !d.next(head) {
		d.drop()
		return dst, ErrExhausted
	}
	dst = append(slices.Grow(dst, len(plain)+recordOverhead), head)
	dst = d.aead.Seal(dst, d.nonce[:], plain, d.aad)
	d.advanceAfter(head)
	return dst, nil
}

// open appends the padded plaintext of one record, or returns why it is refused.
func (d *direction) open(now time.Time, dst, frame []byte) ([]byte, Reason) {
	head := frame[0]
	if !d.next(head) {
		return dst, ReasonCipher
	}
	out, err := d.aead.Open(dst, d.nonce[:], frame[headSize:], d.aad)
	if err != nil {
		return dst, ReasonCipher
	}
	if !d.withinBounds(now, head, len(out)-len(dst)) {
		return dst, ReasonGeneration
	}
	d.advanceAfter(head)
	return out, 0
}

// bounded reports whether the other end keeps to the bounds of generations with a record
// of this size: it ends one that is full, and not too many that are not.
func (d *direction) withinBounds(now time.Time, head byte, size int) bool {
	d.bytes += size
	last := head&lastFlag != 0
	switch {
	case d.bytes >= generationBytes:
		return last
	case !last || d.records == generationRecords:
		return true
	}
	d.earlyEnds++
	return d.earlyEnds <= allowedEarlyEnds+int(elapsed(d.linkBegan, now)/earlyEndEvery)
}

// elapsed is the time between two moments by whichever clock says that it was longer. The
// monotonic one may stand still while a machine sleeps, and what its link has carried
// meanwhile comes when it wakes.
func elapsed(from, to time.Time) time.Duration {
	return max(0, to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

func (d *direction) drop() { *d = direction{} }
