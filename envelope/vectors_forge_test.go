package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
)

// What follows makes envelopes from docs/protocol.md, section 3, step by step. It
// shares no code with what it attacks, so that the two also prove each other, and
// every step can be done wrong.

// Short names for encodings, and the encodings that a reader refuses.
func encArray(n int) []byte   { return strict.AppendArray(nil, n) }
func encUint(v uint64) []byte { return strict.AppendUint(nil, v) }
func encBin(b []byte) []byte  { return strict.AppendBin(nil, b) }
func encStr(s string) []byte  { return strict.AppendStr(nil, s) }
func encNil() []byte          { return strict.AppendNil(nil) }
func longUint(v byte) []byte  { return []byte{0xcc, v} }
func longArray(n byte) []byte { return []byte{0xdc, 0, n} }
func longStr(s string) []byte { return slices.Concat([]byte{0xd9, byte(len(s))}, []byte(s)) }
func longBin16(b []byte) []byte {
	return slices.Concat(binary.BigEndian.AppendUint16([]byte{0xc5}, uint16(len(b))), b)
}
func longBin32(b []byte) []byte {
	return slices.Concat(binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(len(b))), b)
}

// labelled is L(text) ‖ parts, section 1.
func labelled(text string, parts ...[]byte) []byte {
	return append([]byte("hopseal/1 "+text+"\x00"), slices.Concat(parts...)...)
}

func hkdf32(secret, salt, info []byte) []byte {
	return made(hkdf.Key(sha256.New, secret, salt, string(info), 32))
}

// made is for what only fails when the generator itself is wrong.
func made[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must(err error) { made(0, err) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// lengthPrefixed is how digests take their parts, section 3.3.
func lengthPrefixed(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(binary.BigEndian.AppendUint64(out, uint64(len(p))), p...)
	}
	return out
}

// paddedTotal is max(64, Padmé(size)), section 3.1.
func paddedTotal(size int) int {
	if size <= 64 {
		return 64
	}
	e := bits.Len(uint(size)) - 1
	s := bits.Len(uint(e))
	unit := 1 << (e - s)
	return (size + unit - 1) / unit * unit
}

// paddedTo is length ‖ data ‖ zeros, with any length and any total.
func paddedTo(length uint32, data []byte, total int) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, length), data...)
	return append(b, make([]byte, max(0, total-len(b)))...)
}

func paddedOf(data []byte) []byte {
	return paddedTo(uint32(len(data)), data, paddedTotal(4+len(data)))
}

// gcmSeal is nonce ‖ AES-256-GCM under a random nonce.
func gcmSeal(key, plaintext, aad []byte) []byte {
	nonce := random(12)
	return made(cipher.NewGCM(made(aes.NewCipher(key)))).Seal(nonce, nonce, plaintext, aad)
}

// xaesSeal is XAES-256-GCM as its specification derives it (C2SP, XAES-256-GCM).
func xaesSeal(key, plaintext, aad []byte) []byte {
	block := made(aes.NewCipher(key))
	nonce := random(24)
	l := make([]byte, 16)
	block.Encrypt(l, l)
	carry := l[0] >> 7
	for i := range 15 {
		l[i] = l[i]<<1 | l[i+1]>>7
	}
	l[15] = l[15]<<1 ^ carry*0x87
	var derived []byte
	for counter := range byte(2) {
		m := append([]byte{0, counter + 1, 'X', 0}, nonce[:12]...)
		for i := range m {
			m[i] ^= l[i]
		}
		block.Encrypt(m, m)
		derived = append(derived, m...)
	}
	return made(cipher.NewGCM(made(aes.NewCipher(derived)))).Seal(nonce, nonce[12:], plaintext, aad)
}

func macOf(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// The fields of a header, by their place in it.
const (
	atSuite = iota
	atSender
	atSealKey
	atProofKey
	atID
	atTime
	atType
	atContext
)

// A message is an envelope in the making. A case changes what it wants wrong and
// has all that follows from it made: fields, header, recipients and body, proof.
type message struct {
	fields   [][]byte // of the header, encoded
	suite    int      // whose algorithms are used, whatever the header says
	pair     pair     // suites 1 and 2
	signer   ed25519.PrivateKey
	receiver string
	content  []byte // content key, suite 3
	to       []addressee
	padded   []byte

	header, body, proof []byte
	entries             [][]byte // of recipients, encoded
	headerLabel         string
}

// An addressee gets a content key sealed.
type addressee struct {
	fingerprint, public []byte
	content             []byte // another one than the message's, for a dishonest sender
}

// id is the sealing key id, section 2.
func (a addressee) id() []byte { return sealingID(a.public) }

// seal makes everything from the fields on.
func (m *message) seal() *message {
	m.header = slices.Concat(encArray(len(m.fields)), slices.Concat(m.fields...))
	return m.sealUnder(m.header)
}

// sealUnder makes everything from the header on.
func (m *message) sealUnder(header []byte) *message {
	m.header = header
	m.wrap()
	return m.encrypt().prove()
}

func (m *message) wrap() {
	m.entries = nil
	slices.SortFunc(m.to, func(a, b addressee) int { return bytes.Compare(a.id(), b.id()) })
	for _, a := range m.to {
		m.entries = append(m.entries, slices.Concat(encArray(2), encBin(a.id()), encBin(m.sealedKey(a))))
	}
}

// sealedKey is section 3.2.
func (m *message) sealedKey(a addressee) []byte {
	content := m.content
	if a.content != nil {
		content = a.content
	}
	public := made(hpke.MLKEM768X25519().NewPublicKey(a.public))
	return made(hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), m.recipientInfo(a), content))
}

func (m *message) headerDigest() []byte { return sha(labelled(m.headerLabel, m.header)) }

func (m *message) recipientInfo(a addressee) []byte {
	return labelled("envelope recipient", m.headerDigest(), a.fingerprint, a.id())
}

func contentID(content []byte) []byte {
	return hkdf32(content, nil, labelled("envelope content key id"))
}
func derivedBodyKey(content []byte) []byte {
	return hkdf32(content, nil, labelled("envelope body key"))
}

func (m *message) encrypt() *message {
	aad := labelled("envelope body", m.header)
	switch {
	case m.suite == 3:
		m.body = gcmSeal(derivedBodyKey(m.content), m.padded, aad)
	default:
		m.body = m.pair.seal(m.padded, aad)
	}
	return m
}

// recipients is what stands in the bin, nil for none.
func (m *message) recipients() []byte {
	if m.entries == nil {
		return nil
	}
	return slices.Concat(encArray(len(m.entries)), slices.Concat(m.entries...))
}

// prove makes the proof anew, for the sender that the message names.
func (m *message) prove() *message { return m.proveOver(m.recipients()) }

func (m *message) proveOver(recipients []byte) *message {
	m.proof = m.proofOf("envelope proof", m.digest(recipients))
	return m
}

// digest is section 3.3.
func (m *message) digest(recipients []byte) []byte {
	return sha(labelled("envelope digest", lengthPrefixed(m.header, recipients, m.body, []byte(m.receiver))))
}

// proofOf is the suite's proof for a purpose, by whoever proves.
func (m *message) proofOf(purpose string, digest []byte) []byte {
	if m.suite == 1 {
		return macOf(m.pair.mac, labelled(purpose+" hmac", digest))
	}
	return ed25519.Sign(m.signer, labelled(purpose, digest))
}

// parts are the five values of the envelope, encoded.
func (m *message) parts() [][]byte {
	recipients := encNil()
	if m.entries != nil {
		recipients = encBin(m.recipients())
	}
	return [][]byte{encUint(1), encBin(m.header), recipients, encBin(m.body), encBin(m.proof)}
}

func joined(parts [][]byte) []byte {
	return slices.Concat(encArray(len(parts)), slices.Concat(parts...))
}

func (m *message) bytes() []byte { return joined(m.parts()) }

// with has one field of the header replaced.
func (m *message) with(at int, encoded []byte) *message {
	m.fields[at] = encoded
	return m
}

func millis(t time.Time) []byte { return encUint(uint64(t.UnixMilli())) }
