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
// The bit "last" says that the sender moves to new keys after this record. Each rekey begins
// an epoch. Epochs are counted modulo 4, from 0 on each link. Each direction has its own key
// for every epoch and generation. The nonce is the record's number in its direction, which is
// not sent. The associated data are
//
//	label ‖ first byte ‖ link id
//
// The link id of a session's first link is the session's id. A rekey gives each later epoch
// an id of its own.
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

// recordOverhead is how many bytes a record adds to its padded plaintext.
const recordOverhead = headSize + tagSize

// MaxFrame returns the size in bytes of the largest frame that a transport must let through:
// that of the largest record for a message of n bytes or a piece of it, or the largest
// handshake message if that is larger.
func MaxFrame(n int) int {
	return max(MaxHandshakeFrame, recordOverhead+min(pieceSize, bucket(lengthSize+n)))
}

// A generation of keys ends after this many records of its direction, which both ends count.
// The sender ends it earlier, with the bit "last", by the record that passes one of the other
// two bounds. Whoever learns the state of an end later cannot open what was sent under an
// ended generation.
const (
	generationRecords = 1024
	generationBytes   = 16 << 20
	generationAge     = 60 * time.Second
)

// A receiver holds the other end to these bounds. An honest sender ends a generation by age
// once in generationAge. The receiver accepts twice as many and a few more, since the two
// clocks differ and a link does not begin at both ends at once. Without the bounds every
// record could cost the receiver a step of the chain and a key schedule.
const (
	allowedEarlyEnds = 4
	earlyEndEvery    = generationAge / 2
)

// lastRecord is the number of a direction's last record. A direction with a million records
// a second reaches it in nine years. It keeps a bug from repeating a number, and so a nonce.
const lastRecord = 1<<48 - 1

// direction is one direction of a link: its keys, and how far they are used.
type direction struct {
	aead  cipher.AEAD      // nil once the direction is dead
	chain [secretSize]byte // makes the next generation; the one in use cannot be found from it

	number  uint64 // of the next record, from 0
	limit   uint64 // of the last one
	records int    // in this generation
	bytes   int
	until   time.Time // its end by age, set by its first record

	linkBegan time.Time // when the link began
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

// advance moves to the next generation. It derives a key and the next chain from the chain.
// Neither leads back.
func (d *direction) advance() {
	out := expand(d.chain[:], []byte(label.SessionNextKey), secretSize+keySize)
	d.aead = newAEAD(out[secretSize:])
	copy(d.chain[:], out)
	clear(out)
	d.records, d.bytes = 0, 0
}

// epochKeys are what a direction begins an epoch with.
type epochKeys struct{ chain, id []byte }

// startEpoch moves to the next epoch, which cannot be derived from this one. Record numbers
// go on: they stay within their bound, and would not repeat even if a key did.
func (d *direction) startEpoch(next *epochKeys) {
	old := *d
	*d = newDirection(next.chain, next.id)
	d.number, d.limit, d.epoch = old.number, old.limit, old.epoch+epochStep // 3 is followed by 0
	d.linkBegan, d.earlyEnds = old.linkBegan, old.earlyEnds
	clear(next.chain)
}

// id returns the link id.
func (d *direction) id() []byte { return d.aad[len(label.SessionRecord)+1:] }

// next makes the nonce and the associated data of the next record. It reports false if the
// direction has no records left.
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

// endsGeneration counts a record to seal, and reports whether it must be the last of its
// generation.
func (d *direction) endsGeneration(now time.Time, size int) bool {
	if d.records == 0 {
		d.until = now.Add(generationAge)
	}
	d.bytes += size
	return d.bytes >= generationBytes || !now.Before(d.until)
}

// advanceAfter moves to the next generation if the record just sealed or opened was the last
// of its generation.
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

// withinBounds counts an opened record, and reports whether the other end keeps to the bounds:
// it ends a generation that is full, and does not end too many earlier.
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

// elapsed returns the time between two moments, by the clock that measured more. The
// monotonic clock may stop while a machine sleeps. When the machine wakes, it receives what
// the other end has sent meanwhile.
func elapsed(from, to time.Time) time.Duration {
	return max(0, to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

func (d *direction) drop() { *d = direction{} }
