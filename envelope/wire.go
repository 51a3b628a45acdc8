package envelope

import (
	"bytes"
	"crypto/sha256"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// The layout, docs/protocol.md section 3. Only the contents of body and of each sealed key are
// encrypted; everything else is in the clear.
//
//	envelope   = array(5) [ version=1, header bin, recipients bin | nil, body bin, proof bin ]
//	header     = array(8) [ suite, sender, seal key id bin 32, proof key id bin 32 | nil,
//	                        message id bin 16, time ms, content type str, context str ]
//	sender     = bin 32, the signer's fingerprint | str, the party name in SuiteShared
//	recipients = array(n) [ array(2) [ sealing key id bin 32, sealed key bin 1168 ] … ]
//	body       = nonce ‖ ciphertext ‖ tag: 24 bytes of nonce under XAES-256-GCM, else 12
//	proof      = 64 bytes Ed25519 | 32 bytes HMAC
const (
	version      = 1
	headerFields = 8
	idSize       = 32
	contentSize  = 32 // content key
	signSize     = 64
	maxTime      = 1 << 48 // ms, the year 10889
	maxFraming   = 2 + 4*5 // array, version and the heads of four byte strings

	// Head, key id and sealed key of one recipient.
	recipientSize = 1 + 2 + idSize + 3 + keys.SealedKeySize
)

func (s Suite) proofSize() int {
	if s == SuiteShared {
		return keys.MACSize
	}
	return signSize
}

// fits reports whether the recipients are present exactly if the suite has them, and whether
// the proof has the suite's size.
func (s Suite) fits(recipients, proof []byte) bool {
	return (s == SuiteRecipients) == (recipients != nil) && len(proof) == s.proofSize()
}

// parts are the parts of an envelope. All its byte strings share memory with the input.
type parts struct {
	header     []byte
	recipients []byte // nil in the shared suites
	body       []byte
	proof      []byte
}

func parseParts(b []byte) (p parts, err error) {
	if v, ok := strict.Version(b); ok && v != version {
		return parts{}, fail(ReasonVersion)
	}
	r := strict.NewReader(b)
	r.Array(5)
	r.Uint() // the version
	p.header = r.Bin(1, len(b))
	if !r.Nil() {
		p.recipients = r.Bin(1, len(b))
	}
	p.body = r.Bin(1, len(b))
	p.proof = r.Bin(1, len(b)) // see Suite.fits
	if r.Done() != nil {
		return parts{}, fail(ReasonMalformed)
	}
	return p, nil
}

// parse takes an envelope apart and checks that its parts fit its suite. If a text equals the
// expected one, it uses that string, which saves a copy.
func parse(b []byte, party, context string) (h Header, p parts, err error) {
	if p, err = parseParts(b); err != nil {
		return Header{}, parts{}, err
	}
	if h, err = parseHeader(p.header, party, context); err != nil {
		return Header{}, parts{}, err
	}
	if !h.Suite.fits(p.recipients, p.proof) {
		return Header{}, parts{}, fail(ReasonMalformed)
	}
	return h, p, nil
}

func (h *Header) append(dst []byte) []byte {
	return h.appendFields(strict.AppendArray(dst, headerFields))
}

func (h *Header) appendFields(dst []byte) []byte {
	dst = strict.AppendUint(dst, uint64(h.Suite))
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

func parseHeader(b []byte, party, context string) (h Header, err error) {
	if err := checkSuite(b); err != nil {
		return Header{}, err
	}
	r := strict.NewReader(b)
	r.Array(headerFields)
	if err := h.parseFields(&r, party, context); err != nil {
		return Header{}, err
	}
	if r.Done() != nil {
		return Header{}, fail(ReasonMalformed)
	}
	return h, nil
}

// checkSuite refuses a suite that this code does not know. The first value of a header is the
// suite, in later suites too, whatever else these have in it.
func checkSuite(header []byte) error {
	suite, ok := strict.Version(header)
	if ok && (suite < uint64(SuiteShared) || suite > uint64(SuiteRecipients)) {
		return fail(ReasonSuite)
	}
	return nil
}

func (h *Header) parseFields(r *strict.Reader, party, context string) error {
	if h.Suite = Suite(r.Uint()); h.Suite == SuiteShared { // see checkSuite
		h.Party = text(r.StrBytes(1, MaxPartySize), party)
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
	h.Context = text(r.StrBytes(0, MaxContextSize), context)
	if r.Failed() || ms >= maxTime {
		return fail(ReasonMalformed)
	}
	h.Time = time.UnixMilli(int64(ms))
	return nil
}

func text(b []byte, expected string) string {
	if string(b) == expected {
		return expected
	}
	return string(b)
}

// eachRecipient calls f for every entry of a recipients field and reports whether the field
// is well formed: it has 1 to MaxRecipients entries in ascending order of their ids, so that
// none is listed twice.
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

// recipientInfo returns HPKE's info: label ‖ header digest ‖ recipient's fingerprint ‖
// key id. The header binds sender, context and message, so that a recipient cannot pass the
// content key on as if the sender had sealed it to a third party (A09). The fingerprint
// binds whom the sender meant. Without it, somebody could list another's key as its own, and
// a message to it would open for that other one.
func recipientInfo(headerDigest []byte, to keys.Fingerprint, id keys.SealingKeyID) []byte {
	return label.EnvelopeRecipient.With(headerDigest, to[:], id[:])
}

// headerDigest returns SHA-256(label ‖ header).
func headerDigest(l label.Label, header []byte) []byte {
	sum := sha256.Sum256(l.With(header))
	return sum[:]
}
