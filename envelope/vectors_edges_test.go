package envelope

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha3"
	"encoding/binary"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/hpke"
)

// Vectors at the edges of what opens: each is one that two readers of the document may
// judge in two ways.

// An edge is a message that opens, or is refused for a reason.
type edge struct {
	name, comment string
	suite         int
	reason        Reason // 0 for what opens
	sealed        func(m *message) []byte
	reader        func(e *end) // nil for endOf the suite
}

func edgeEnvelopes(good bool) (all []making) {
	for _, c := range slices.Concat(edgesOfTexts, edgesOfTimes, edgesOfSignatures, edgesOfSealedKeys) {
		if good != (c.reason == 0) {
			continue
		}
		name := "bad-"
		if good {
			name = "good-"
		}
		all = append(all, making{name + suiteNames[c.suite] + "-" + c.name, func() vector {
			e := endOf(c.suite)
			if c.reader != nil {
				c.reader(&e)
			}
			v := e.vector("envelope", c.comment, c.sealed(draft(c.suite)))
			if good {
				return v.gives([]byte("attack at dawn"))
			}
			return v.because(c.reason)
		}})
	}
	return all
}

// twoByte is a text of n characters and 2n bytes.
func twoByte(n int) string { return strings.Repeat("é", n) }

// edgesOfTexts are of the encoding.
var edgesOfTexts = []edge{
	{"time-signed-integer", "the time is a signed integer, which is as long as the unsigned one", 1, ReasonMalformed, field(atTime, func() []byte {
		return append([]byte{0xd3}, millis(castTime)[1:]...)
	}), nil},
	{"time-float", "the time is a float", 1, ReasonMalformed, field(atTime, func() []byte { return []byte{0xcb, 0x42, 0x7a, 0x2c, 0xe8, 0xbd, 0x40, 0, 0} }), nil},
	{"time-true", "a truth value in place of the time", 1, ReasonMalformed, field(atTime, func() []byte { return []byte{0xc3} }), nil},
	{"type-characters", "a content type of 65 characters and 130 bytes", 1, ReasonMalformed, field(atType, func() []byte { return encStr(twoByte(65)) }), nil},
	{"party-too-long", "the sender's name has 129 bytes", 1, ReasonMalformed, field(atSender, func() []byte { return encStr(strings.Repeat("s", 129)) }), func(e *end) { e.fromParty = strings.Repeat("s", 129) }},
	{"context-as-composed", "the expected context with a letter in two characters, which looks the same", 1, ReasonContext, field(atContext, func() []byte { return encStr("cafe\u0301") }), func(e *end) { e.context = "caf\u00e9" }},
	{"type-bom", "a content type that begins with a byte order mark and ends in U+0000 and U+FFFF", 1, 0, field(atType, func() []byte { return encStr("\ufefft\x00\uffff") }), nil},
	{"context-bom", "a context that begins with a byte order mark, which the reader expects", 1, 0, field(atContext, func() []byte { return encStr("\ufefforders") }), func(e *end) { e.context = "\ufefforders" }},
	{"context-without-bom", "the expected context without its byte order mark", 1, ReasonContext, (*message).honest, func(e *end) { e.context = "\ufefforders" }},
}

var lastMoment = []byte{0xcf, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// edgesOfTimes are of the header's time, and of keys and statements.
var edgesOfTimes = []edge{
	{"time-0", "a time of 0", 1, 0, field(atTime, func() []byte { return encUint(0) }), nil},
	{"time-last", "a time of 2^48 - 1", 1, 0, field(atTime, func() []byte { return lastMoment }), nil},
	{"too-early-by-1-ms", "signed a millisecond before the key is valid", 2, ReasonProof, signedBy("alice signing 3", day(2).Add(-time.Minute-time.Millisecond)), later},
	{"first-moment", "signed at the first moment of the key, and before the statement was issued", 2, 0, signedBy("alice signing 3", day(2).Add(-time.Minute)), later},
	{"last-moment", "signed in the last millisecond of the key", 2, 0, signedBy("alice signing 1", day(1).Add(10*time.Minute-time.Millisecond)), later},
	{"before-expiry", "dated a millisecond before the sender's statement expires", 2, 0, field(atTime, func() []byte { return millis(day(29).Add(-time.Millisecond)) }), nil},
}

// by returns the sender with another signing key.
func by(public []byte) func(e *end) {
	return func(e *end) {
		e.statement = castAlice.statement()
		e.statement.keys[0].public = public
	}
}

// provedBy has the proof made by f, which is given what it is over.
func provedBy(public []byte, f func(input []byte) []byte) func(m *message) []byte {
	return func(m *message) []byte {
		m.with(atProofKey, encBin(signingID(public))).seal()
		m.proof = f(labelled("envelope proof", m.digest(m.recipients())))
		return m.bytes()
	}
}

var (
	neutral       = point("0100000000000000000000000000000000000000000000000000000000000000")
	neutralSigned = point("0100000000000000000000000000000000000000000000000000000000000080")
	noPoint       = point("0200000000000000000000000000000000000000000000000000000000000000")
	aliceKey      = signingKeyOf("alice signing 1")
	zero          = big.NewInt(0)
)

// edgesOfSignatures are those about which verifiers of Ed25519 disagree.
var edgesOfSignatures = []edge{
	{"r-of-small-order", "an R that is the neutral element, as a nonce of 0 gives", 2, 0, provedBy(publicOf(aliceKey), func(input []byte) []byte {
		return signedWith(aliceKey, publicOf(aliceKey), input, neutral, zero)
	}), nil},
	{"r-with-sign", "the same with the sign of x set in R: equal as a point to some, and not byte for byte", 2, ReasonProof, provedBy(publicOf(aliceKey), func(input []byte) []byte {
		return signedWith(aliceKey, publicOf(aliceKey), input, neutralSigned, zero)
	}), nil},
	{"r-not-reduced", "the same with y = p + 1 in R", 2, ReasonProof, provedBy(publicOf(aliceKey), func(input []byte) []byte {
		return signedWith(aliceKey, publicOf(aliceKey), input, point("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), zero)
	}), nil},
	{"cofactor", "an R with a part of small order, which verifies with the cofactor only", 2, ReasonProof, provedBy(publicOf(aliceKey), func(input []byte) []byte {
		nonce := big.NewInt(7)
		return signedWith(aliceKey, publicOf(aliceKey), input, edBase.times(nonce).add(edEighth).encoded(), nonce)
	}), nil},
	{"mixed-key", "signed under a key with a part of small order, which falls out", 2, 0, provedBy(mixedOrder(aliceKey), func(input []byte) []byte {
		return signMixed(aliceKey, input, true)
	}), by(mixedOrder(aliceKey))},
	{"mixed-key-cofactor", "signed under a key with a part of small order, which falls out with the cofactor only", 2, ReasonProof, provedBy(mixedOrder(aliceKey), func(input []byte) []byte {
		return signMixed(aliceKey, input, false)
	}), by(mixedOrder(aliceKey))},
	{"key-of-no-point", "signed under a key that no point has: R is the neutral element, S is 0", 2, ReasonProof, provedBy(noPoint, func([]byte) []byte {
		return append(slices.Clone(neutral), make([]byte, 32)...)
	}), by(noPoint)},
}

// ownX25519 seals with a sender's X25519 half of the encapsulation and its secret, which
// need not fit.
func ownX25519(half func(public []byte) (ct, secret []byte)) func(m *message) []byte {
	return func(m *message) []byte {
		m.seal()
		to := castBob.addressee()
		pq, cipher := made(mlkem.NewEncapsulationKey768(to.public[:1184])).Encapsulate()
		own := to.public[1184:]
		ct, secret := half(own)
		shared := sha3.Sum256(slices.Concat(pq, secret, ct, own, []byte(`\.//^\`)))
		aead, nonce := hpke.Suite("HPKE\x64\x7a\x00\x01\x00\x02").Schedule(shared[:], m.recipientInfo(to))
		sealed := slices.Concat(cipher, ct, aead.Seal(nil, nonce, m.content, nil))
		m.entries = [][]byte{slices.Concat(encArray(2), encBin(to.id()), encBin(sealed))}
		return m.prove().bytes()
	}
}

// ephemeral is an honest X25519 half, and its secret.
func ephemeral(public []byte) (ct, secret []byte) {
	k := made(ecdh.X25519().NewPrivateKey(testSecret("ephemeral")))
	return k.PublicKey().Bytes(), made(k.ECDH(made(ecdh.X25519().NewPublicKey(public))))
}

// ringOf is Bob with two sealing keys, of which the one that stands first among
// recipients has been archived, or the other one.
func ringOf(firstArchived bool) person {
	p := bobMuchLater
	a, b := "bob sealing 1", "bob sealing 2"
	if (bytes.Compare(sealingID(sealingPublic(testSecret(a))), sealingID(sealingPublic(testSecret(b)))) < 0) != firstArchived {
		a, b = b, a
	}
	p.sealing = []aged{{a, day(-1), day(-1), day(1), day(3)}, primarySince(b, day(1))}
	return p
}

func toBoth(m *message) []byte {
	p := castBob.fingerprint()
	m.to = nil
	for _, name := range []string{"bob sealing 1", "bob sealing 2"} {
		m.to = append(m.to, addressee{fingerprint: p, public: sealingPublic(testSecret(name))})
	}
	return m.honest()
}

func owner(firstArchived bool) func(e *end) {
	return func(e *end) { p := ringOf(firstArchived); e.who = &p }
}

var edgesOfSealedKeys = []edge{
	{"own-keys-first-archived", "sealed to two keys of the reader, of which the first has been archived", 3, ReasonRetired, toBoth, owner(true)},
	{"own-keys-second-archived", "sealed to two keys of the reader, of which the second has been archived", 3, 0, toBoth, owner(false)},
	{"x25519-honest", "an encapsulation made by hand", 3, 0, ownX25519(ephemeral), nil},
	{"x25519-top-bit", "an encapsulation whose X25519 half has its top bit set, which is ignored", 3, 0, ownX25519(func(public []byte) ([]byte, []byte) {
		ct, secret := ephemeral(public)
		ct[31] |= 0x80
		return ct, secret
	}), nil},
	{"x25519-not-reduced", "an encapsulation whose X25519 half is p + 9, the base point", 3, 0, ownX25519(func(public []byte) ([]byte, []byte) {
		return point("f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), public
	}), nil},
	{"x25519-zero", "an encapsulation with an X25519 half of 0, and so a secret of zeros", 3, ReasonKey, ownX25519(func([]byte) ([]byte, []byte) {
		return make([]byte, 32), make([]byte, 32)
	}), nil},
	{"x25519-small-order", "an encapsulation with an X25519 half of order 8, and so a secret of zeros", 3, ReasonKey, ownX25519(func([]byte) ([]byte, []byte) {
		return point("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), make([]byte, 32)
	}), nil},
	{"x25519-other-label", "the secret of X-Wing without its label", 3, ReasonKey, func(m *message) []byte {
		m.seal()
		to := castBob.addressee()
		pq, cipher := made(mlkem.NewEncapsulationKey768(to.public[:1184])).Encapsulate()
		ct, secret := ephemeral(to.public[1184:])
		shared := sha3.Sum256(slices.Concat(pq, secret, ct, to.public[1184:]))
		aead, nonce := hpke.Suite("HPKE\x64\x7a\x00\x01\x00\x02").Schedule(shared[:], m.recipientInfo(to))
		m.entries = [][]byte{slices.Concat(encArray(2), encBin(to.id()), encBin(slices.Concat(cipher, ct, aead.Seal(nil, nonce, m.content, nil))))}
		return m.prove().bytes()
	}, nil},
}

// unusable are ends that lack what their suite needs.
func unusable() []making {
	return []making{{"bad-signed-no-identity", func() vector {
		e := endOf(2)
		e.who = nil
		v := e.vector("envelope", "a good message, for a reader without an identity of its own", draft(2).honest())
		v.Expect = expectUnusable
		return v
	}}}
}

// edgeStreams are of padding by segments.
func edgeStreams(good bool) (all []making) {
	type layout struct {
		name, comment string
		reason        Reason
		plains        [][]byte
	}
	data, full := []byte("in a bucket"), bytes.Repeat([]byte("s"), 65532)
	mark := uint32(1 << 31)
	padded := func(total int) [][]byte { return laidOut(data, total, mark) }
	changed := func(total, segment, at int, b byte) [][]byte {
		p := padded(total)
		p[segment][at] = b
		return p
	}
	for _, c := range []layout{
		{"padding-of-4", "a segment of padding that is its length only", 0, padded(65536 + 4)},
		{"padding-full", "a segment of padding that is full, and the last", 0, padded(2 * 65536)},
		{"rest-empty-and-padding", "content that fills a segment, the rest of none, and a segment of padding", 0,
			laidOut(full, 2*65536+4, mark)},
		{"padding-of-3", "a segment of padding of three bytes", ReasonMalformed, [][]byte{padded(65536)[0], {0, 0, 0}}},
		{"padding-chosen", "a segment of padding that says that the total was chosen", ReasonBody, changed(65536+100, 1, 0, 0x80)},
		{"padding-with-data", "a segment of padding with a byte of data", ReasonBody, changed(65536+100, 1, 3, 1)},
		{"padding-segment-not-zero", "a segment of padding whose last byte is not zero", ReasonBody, changed(65536+100, 1, 99, 1)},
		{"padding-not-zero-before", "a segment with the rest whose last byte is not zero, and a segment of padding", ReasonBody, changed(65536+100, 0, 65535, 1)},
		{"padding-not-due", "a segment of padding where no total was chosen", ReasonBody, laidOut(data, 65536+4, 0)},
		{"rest-without-mark", "the mark of a chosen total in a segment of padding only", ReasonBody, func() [][]byte {
			p := laidOut(data, 65536+4, 0)
			binary.BigEndian.PutUint32(p[1], mark)
			return p
		}()},
		{"chosen-in-full", "a full segment that says that the total was chosen, and the rest", ReasonBody, func() [][]byte {
			p := laidOut(full, 65536+4, mark)
			binary.BigEndian.PutUint32(p[0], mark|65532)
			return p
		}()},
	} {
		if good != (c.reason == 0) {
			continue
		}
		name := "bad-stream-"
		if good {
			name = "good-stream-shared-"
		}
		all = append(all, making{name + c.name, func() vector {
			s := streamDraft(1, nil)
			s.plains = c.plains
			v := endOf(1).vector("stream", c.comment, s.seal().bytes())
			if !good {
				return v.because(c.reason)
			}
			if c.plains[0][4] == 's' {
				return v.gives(full)
			}
			return v.gives(data)
		}})
	}
	return all
}
