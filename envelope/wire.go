package envelope

import (
	"bytes"
	"encoding/binary"
	"hash"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// The layout, docs/protocol.md section 3. Everything is in the clear but what
// body holds and what each sealed key holds.
//
//	envelope   = array(5) [ version=1, header bin, recipients bin | nil, body bin, proof bin ]
//	header     = array(8) [ suite, sender, seal key id bin 32, proof key id bin 32 | nil,
//	                        message id bin 16, time ms, content type str, context str ]
//	sender     = bin 32, the signer's fingerprint | str, the party name in SuiteShared
//	recipients = array(n) [ array(2) [ sealing key id bin 32, sealed key bin 1168 ] … ]
//	body       = nonce ‖ ciphertext ‖ tag: 24 bytes of nonce in the shared suites, 12 with recipients
//	proof      = 64 bytes Ed25519 | 32 bytes HMAC
const (
	version      = 1
	idSize       = 32
	contentSize  = 32 // content key
	gcmNonceSize = 12
	gcmTagSize   = 16
	signSize     = 64
	maxTime      = 1 << 48 // ms, the year 10889

	// Head, key id and sealed key of one recipient.
	recipientSize = 1 + 2 + idSize + 3 + keys.SealedKeySize
)

func (s Suite) proofSize() int {
	if s == SuiteShared {
		return keys.MACSize
	}
	return signSize
}

// parts are an envelope taken apart. All byte strings are parts of the input.
type parts struct {
	header     []byte
	recipients []byte // nil in the shared suites
	body       []byte
	proof      []byte
}

func parseParts(b []byte) (p parts, err error) {
	r := strict.NewReader(b)
	r.Array(5)
	v := r.Uint()
	if !r.Failed() && v != version {
		return parts{}, fail(ReasonVersion)
	}
	p.header = r.Bin(1, len(b))
	if !r.Nil() {
		p.recipients = r.Bin(1, len(b))
	}
	p.body = r.Bin(1, len(b))
	p.proof = r.Bin(1, signSize)
	if r.Done() != nil {
		return parts{}, fail(ReasonMalformed)
	}
	return p, nil
}

func (h *Header) append(dst []byte) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 8), uint64(h.Suite))
	if h.Suite == SuiteShared {
		dst = strict.AppendStr(dst, h.Party)
	} else {
		dst = strict.AppendBin(dst, h.Sender[:])
	}
	dst = strict.AppendBin(dst, h.SealKey[:])
	if h.Suite == SuiteShared {
		dst = strict.AppendNil(dst) // the pair's id names both its keys
	} else {
		dst = strict.AppendBin(dst, h.ProofKey[:])
	}
	dst = strict.AppendBin(dst, h.ID[:])
	dst = strict.AppendUint(dst, uint64(h.Time.UnixMilli()))
	dst = strict.AppendStr(dst, h.ContentType)
	return strict.AppendStr(dst, h.Context)
}

func parseHeader(b []byte) (h Header, err error) {
	r := strict.NewReader(b)
	r.Array(8)
	suite := r.Uint()
	if !r.Failed() && (suite < uint64(SuiteShared) || suite > uint64(SuiteRecipients)) {
		return Header{}, fail(ReasonSuite)
	}
	if h.Suite = Suite(suite); h.Suite == SuiteShared {
		h.Party = r.Str(1, MaxPartySize)
	} else {
		copy(h.Sender[:], r.Bin(idSize, idSize))
	}
	copy(h.SealKey[:], r.Bin(idSize, idSize))
	if h.Suite != SuiteShared {
		copy(h.ProofKey[:], r.Bin(idSize, idSize))
	} else if !r.Nil() {
		r.Fail()
	}
	copy(h.ID[:], r.Bin(len(h.ID), len(h.ID)))
	ms := r.Uint()
	h.ContentType = r.Str(0, MaxContentTypeSize)
	h.Context = r.Str(0, MaxContextSize)
	if r.Done() != nil || ms >= maxTime {
		return Header{}, fail(ReasonMalformed)
	}
	h.Time = time.UnixMilli(int64(ms))
	return h, nil
}

// eachRecipient calls f for every entry of a recipients field and reports
// whether the field is well formed: 1 to MaxRecipients entries in ascending order
// of their ids, so that none is listed twice.
func eachRecipient(b []byte, f func(id keys.SealingKeyID, sealed []byte)) bool {
	r := strict.NewReader(b)
	var last []byte
	for range r.ArrayLen(1, MaxRecipients) {
		r.Array(2)
		id := r.Bin(idSize, idSize)
		sealed := r.Bin(keys.SealedKeySize, keys.SealedKeySize)
		if r.Failed() || bytes.Compare(last, id) >= 0 {
			return false
		}
		f(keys.SealingKeyID(id), sealed)
		last = id
	}
	return r.Done() == nil
}

// bodyAAD is label ‖ header, as received.
func bodyAAD(header []byte) []byte { return label.EnvelopeBody.With(header) }

// recipientInfo is HPKE's info: label ‖ BLAKE2b-512(label ‖ header) ‖ recipient's
// fingerprint ‖ key id. The header binds sender, context and message, so that a
// recipient cannot pass the content key on as if the sender had sealed it to a
// third party (A09). The fingerprint binds whom the sender meant: without it,
// somebody who lists another's key as its own could have that one take a message
// for its own.
func recipientInfo(headerDigest []byte, to keys.Fingerprint, id keys.SealingKeyID) []byte {
	return label.EnvelopeRecipient.With(headerDigest, to[:], id[:])
}

func headerDigest(header []byte) []byte {
	sum := blake2b.Sum512(label.EnvelopeHeader.With(header))
	return sum[:]
}

// proofInput is what the sender signs or MACs: label ‖ BLAKE2b-512(label ‖
// length-prefixed header, recipients, body, receiver), always one short input. The
// lengths are 8 bytes, big-endian; an absent field has length 0, which a present
// one never has.
//
// The receiver is the name of the party that the message is for, in the shared
// suites, where all parties have the same key. It is not sent: a hop that takes
// the message to another party takes it to one that puts another name here.
func proofInput(l label.Label, p parts, receiver string) []byte {
	h, err := blake2b.New512(nil)
	if err != nil {
		panic(err) // only for a key that is too long
	}
	h.Write([]byte(label.EnvelopeDigest))
	writePrefixed(h, p.header)
	writePrefixed(h, p.recipients)
	writePrefixed(h, p.body)
	writePrefixed(h, []byte(receiver))
	return h.Sum([]byte(l))
}

func writePrefixed(h hash.Hash, b []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(b)))
	h.Write(size[:])
	h.Write(b)
}
