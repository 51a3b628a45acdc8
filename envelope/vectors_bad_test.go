package envelope

import (
	"bytes"
	"crypto/ed25519"
	"math/big"
	"slices"
	"time"
)

// draft is an honest message of a suite, not sealed yet, for endOf(suite).
func draft(suite int) *message {
	m := &message{headerLabel: "envelope header", suite: suite, pair: pairOf(xaesKind, "shared 1"), signer: castAlice.signer(), padded: paddedOf([]byte("attack at dawn"))}
	sender, proofKey := encBin(castAlice.fingerprint()), encBin(signingID(publicOf(m.signer)))
	sealKey := m.pair.id()
	switch suite {
	case 1:
		sender, proofKey, m.receiver = encStr("shop"), encNil(), "bank"
	case 2:
		m.receiver = "bank"
	case 3:
		m.content = random(32)
		sealKey = contentID(m.content)
		m.to = []addressee{castBob.addressee()}
	}
	m.fields = [][]byte{encUint(uint64(suite)), sender, encBin(sealKey), proofKey, encBin(random(16)),
		millis(castTime), encStr("text/plain"), encStr(castContext)}
	return m
}

// An attack is what somebody makes of a draft, and how it is refused. Every one is
// wrong in one way only.
type attack struct {
	name, comment string
	reason        Reason
	sealed        func(m *message) []byte
	reader        func(e *end) // nil for endOf the suite
}

func badEnvelopes() (all []making) {
	for suite, attacks := range [][]attack{nil, slices.Concat(framing, inTransit, exchanges, headers, texts, onShared),
		slices.Concat(inTransit, onSigned, onSignatures), slices.Concat(inTransit, onBodies, onRecipients)} {
		for _, a := range attacks {
			all = append(all, making{"bad-" + suiteNames[suite] + "-" + a.name, func() vector {
				e := endOf(suite)
				if a.reader != nil {
					a.reader(&e)
				}
				return e.vector("envelope", a.comment, a.sealed(draft(suite))).because(a.reason)
			}})
		}
	}
	return all
}

// part has one of the five values of a sealed message replaced.
func part(at int, encode func(m *message) []byte) func(m *message) []byte {
	return func(m *message) []byte {
		parts := m.seal().parts()
		parts[at] = encode(m)
		return joined(parts)
	}
}

func partly(change func(b []byte) []byte) func(m *message) []byte {
	return func(m *message) []byte { return change(m.seal().bytes()) }
}

// The values of an envelope, by their place in it.
const (
	inVersion = iota
	inHeader
	inRecipients
	inBody
	inProof
)

// framing is what a hop does to the encoding, which no proof covers.
var framing = []attack{
	{"empty", "no bytes at all", ReasonMalformed, func(*message) []byte { return []byte{} }, nil},
	{"cut", "the last byte is missing", ReasonMalformed, partly(func(b []byte) []byte { return b[:len(b)-1] }), nil},
	{"one-byte-more", "a zero byte follows", ReasonMalformed, partly(func(b []byte) []byte { return append(b, 0) }), nil},
	{"long-array", "the array's length is not in its shortest form", ReasonMalformed, partly(func(b []byte) []byte { return append(longArray(5), b[1:]...) }), nil},
	{"map", "a map in place of the array", ReasonMalformed, partly(func(b []byte) []byte { b[0] = 0x85; return b }), nil},
	{"six-values", "a sixth value", ReasonMalformed, func(m *message) []byte { return joined(append(m.seal().parts(), encNil())) }, nil},
	{"four-values", "the proof is taken away", ReasonMalformed, func(m *message) []byte { return joined(m.seal().parts()[:inProof]) }, nil},
	{"version-0", "version 0", ReasonVersion, part(inVersion, func(*message) []byte { return encUint(0) }), nil},
	{"version-2", "version 2", ReasonVersion, part(inVersion, func(*message) []byte { return encUint(2) }), nil},
	{"version-2-other-values", "version 2, of values that version 1 does not know", ReasonVersion, func(m *message) []byte {
		return joined([][]byte{encUint(2), encStr("x"), encUint(1 << 40), encArray(0)})
	}, nil},
	{"version-long", "the version is not in its shortest form", ReasonMalformed, part(inVersion, func(*message) []byte { return longUint(1) }), nil},
	{"header-long", "the header's length is not in its shortest form", ReasonMalformed, part(inHeader, func(m *message) []byte { return longBin16(m.header) }), nil},
	{"header-str", "the header is a text", ReasonMalformed, part(inHeader, func(m *message) []byte { return encStr(string(m.header)) }), nil},
	{"recipients-empty", "an empty list of recipients in place of nil", ReasonMalformed, part(inRecipients, func(*message) []byte { return encBin(nil) }), nil},
	{"recipients-added", "recipients in a suite that has none, under the proof", ReasonMalformed, func(m *message) []byte {
		parts := m.seal().proveOver([]byte{0x90}).parts()
		parts[inRecipients] = encBin([]byte{0x90})
		return joined(parts)
	}, nil},
	{"body-long", "the body's length is not in its shortest form", ReasonMalformed, part(inBody, func(m *message) []byte { return longBin32(m.body) }), nil},
	{"body-str", "the body is a text", ReasonMalformed, part(inBody, func(m *message) []byte { return append([]byte{0xd9, byte(len(m.body))}, m.body...) }), nil},
	{"body-nil", "no body", ReasonMalformed, part(inBody, func(*message) []byte { return encNil() }), nil},
	{"body-beyond", "the body's length is more than what follows", ReasonMalformed, part(inBody, func(m *message) []byte { return append([]byte{0xc6, 255, 255, 255, 255}, m.body...) }), nil},
	{"proof-nil", "no proof", ReasonMalformed, part(inProof, func(*message) []byte { return encNil() }), nil},
	{"proof-empty", "an empty proof", ReasonMalformed, part(inProof, func(*message) []byte { return encBin(nil) }), nil},
	{"proof-ext", "the proof is an extension type", ReasonMalformed, part(inProof, func(m *message) []byte { return append([]byte{0xc7, 32, 1}, m.proof...) }), nil},
}

// inTransit is what a hop does to the values, in every suite.
var inTransit = []attack{
	{"header-bit", "a bit of the message id is changed", ReasonProof, func(m *message) []byte {
		m.seal()
		m.header[len(m.header)-30] ^= 1
		return m.bytes()
	}, nil},
	{"body-bit", "the last bit of the body is changed", ReasonProof, func(m *message) []byte {
		m.seal()
		m.body[len(m.body)-1] ^= 1
		return m.bytes()
	}, nil},
	{"proof-bit", "the last bit of the proof is changed", ReasonProof, func(m *message) []byte {
		m.seal()
		m.proof[len(m.proof)-1] ^= 1
		return m.bytes()
	}, nil},
	{"reflected", "the reader's own message is returned to it", ReasonReflected, (*message).honest, func(e *end) {
		if e.fromParty != "" {
			e.party, e.fromParty = e.fromParty, e.party
			return
		}
		e.who, e.from = e.from, e.who
	}},
	{"another-context", "the reader expects another context", ReasonContext, (*message).honest, func(e *end) { e.context = "invoices" }},
	{"another-suite", "a message of another suite by the same sender, to a reader whose keys are for this one", ReasonSuite, func(m *message) []byte {
		return draft(m.suite%3 + 1).honest()
	}, nil},
}

// exchanges are more of that.
var exchanges = []attack{
	{"proof-cut", "the last byte of the proof is missing", ReasonMalformed, func(m *message) []byte {
		m.seal()
		m.proof = m.proof[:len(m.proof)-1]
		return m.bytes()
	}, nil},
	{"body-of-another", "the body of another message of this sender", ReasonProof, func(m *message) []byte {
		m.seal().body = draft(m.suite).seal().body
		return m.bytes()
	}, nil},
	{"proof-of-another", "the proof of another message of this sender", ReasonProof, func(m *message) []byte {
		m.seal().proof = draft(m.suite).seal().proof
		return m.bytes()
	}, nil},
	{"another-sender", "the reader expects another sender", ReasonSender, (*message).honest, func(e *end) {
		if e.fromParty != "" {
			e.fromParty = "warehouse"
			return
		}
		e.from = &castCarol
	}},
}

func (m *message) honest() []byte { return m.seal().bytes() }

// field has a field of the header replaced before all that follows from it is made:
// by a sender who is not honest, or whose program is wrong.
func field(at int, encode func() []byte) func(m *message) []byte {
	return func(m *message) []byte { return m.with(at, encode()).honest() }
}

// exchanged has a field replaced by a hop, which cannot make the proof.
func exchanged(at int, encode func() []byte) func(m *message) []byte {
	return func(m *message) []byte {
		m.seal().with(at, encode())
		m.header = joined(m.fields)
		return m.bytes()
	}
}

// headers are encodings of the header, under a proof that verifies.
var headers = []attack{
	{"header-seven-fields", "the header ends before the context", ReasonMalformed, func(m *message) []byte {
		m.fields = m.fields[:atContext]
		return m.honest()
	}, nil},
	{"header-nine-fields", "the header has a ninth field, as that of a stream has", ReasonMalformed, func(m *message) []byte {
		m.fields = append(m.fields, encBin(random(32)))
		return m.honest()
	}, nil},
	{"header-more", "a byte follows the header's array", ReasonMalformed, func(m *message) []byte {
		return m.sealUnder(append(joined(m.fields), 0)).bytes()
	}, nil},
	{"header-long-array", "the header's array has a length that is not in its shortest form", ReasonMalformed, func(m *message) []byte {
		return m.sealUnder(slices.Concat(longArray(8), slices.Concat(m.fields...))).bytes()
	}, nil},
	{"suite-long", "the suite is not in its shortest form", ReasonMalformed, field(atSuite, func() []byte { return longUint(1) }), nil},
	{"suite-0", "suite 0, all else as it should be", ReasonSuite, field(atSuite, func() []byte { return encUint(0) }), nil},
	{"suite-255", "suite 255, all else as it should be", ReasonSuite, field(atSuite, func() []byte { return encUint(255) }), nil},
	{"suite-257", "suite 257, which is 1 modulo 256", ReasonSuite, field(atSuite, func() []byte { return encUint(257) }), nil},
	{"seal-key-short", "a key id of 31 bytes", ReasonMalformed, field(atSealKey, func() []byte { return encBin(pairOf(xaesKind, "shared 1").id()[:31]) }), nil},
	{"proof-key-present", "a proof key id where the pair proves", ReasonMalformed, field(atProofKey, func() []byte { return encBin(random(32)) }), nil},
	{"id-long", "a message id of 17 bytes", ReasonMalformed, field(atID, func() []byte { return encBin(random(17)) }), nil},
	{"time-beyond", "a time of 2^48", ReasonMalformed, field(atTime, func() []byte { return encUint(1 << 48) }), nil},
	{"time-negative", "a time below zero", ReasonMalformed, field(atTime, func() []byte { return []byte{0xff} }), nil},
}

// texts are the header's texts, under a proof that verifies.
var texts = []attack{
	{"party-empty", "a sender without a name", ReasonMalformed, field(atSender, func() []byte { return encStr("") }), nil},
	{"party-long", "the sender's name has a length that is not in its shortest form", ReasonMalformed, field(atSender, func() []byte { return longStr("shop") }), nil},
	{"party-bin", "the sender's name is not a text", ReasonMalformed, field(atSender, func() []byte { return encBin([]byte("shop")) }), nil},
	{"type-too-long", "a content type of 129 bytes", ReasonMalformed, field(atType, func() []byte { return encStr(string(bytes.Repeat([]byte("t"), 129))) }), nil},
	{"type-not-utf8", "a content type that is not UTF-8", ReasonMalformed, field(atType, func() []byte { return encStr("text/\xff") }), nil},
	{"context-too-long", "a context of 1025 bytes, which the reader expects", ReasonMalformed, field(atContext, func() []byte { return encStr(longContext) }), func(e *end) { e.context = longContext }},
	{"context-surrogate", "a context with a surrogate, which is not UTF-8", ReasonMalformed, field(atContext, func() []byte { return encStr("\xed\xa0\x80") }), nil},
}

var longContext = string(bytes.Repeat([]byte("c"), 1025))

// onShared is about suite 1: the attacker may be a party of its own.
var onShared = []attack{
	{"wrong-receiver", "a message for another party, brought to this one", ReasonProof, (*message).honest, func(e *end) { e.party = "warehouse" }},
	{"sender-exchanged", "another party's name is put in as the sender's", ReasonProof, exchanged(atSender, func() []byte { return encStr("warehouse") }), func(e *end) { e.fromParty = "warehouse" }},
	{"unknown-pair", "under a pair that the reader does not have", ReasonNotForUs, func(m *message) []byte {
		m.pair = pairOf(xaesKind, "unknown")
		return m.with(atSealKey, encBin(m.pair.id())).honest()
	}, nil},
	{"archived-pair", "under a pair that the reader has archived", ReasonRetired, (*message).honest, func(e *end) { e.pairs = sharedMuchLater }},
	{"pair-exchanged", "names the other pair of the keyset than the one that sealed", ReasonProof, field(atSealKey, func() []byte { return encBin(pairOf(xaesKind, "shared 2").id()) }), func(e *end) { e.pairs = sharedLater }},
	{"half-pair", "sealed with the AEAD key of another pair than the one that is named and proves", ReasonBody, func(m *message) []byte {
		m.pair.aead = pairOf(xaesKind, "shared 2").aead
		return m.honest()
	}, func(e *end) { e.pairs = sharedLater }},
	{"aes-body", "AES-256-GCM where the pair has XAES-256-GCM", ReasonBody, func(m *message) []byte {
		m.seal()
		m.body = gcmSeal(m.pair.aead, m.padded, labelled("envelope body", m.header))
		return m.prove().bytes()
	}, nil},
	{"aes-pair", "the same key bytes, sealed and named as an AES-256-GCM pair", ReasonNotForUs, func(m *message) []byte {
		return m.underAES().honest()
	}, nil},
	{"xaes-body", "XAES-256-GCM where the pair has AES-256-GCM", ReasonBody, func(m *message) []byte {
		m.underAES().seal()
		m.body = xaesSeal(m.pair.aead, m.padded, labelled("envelope body", m.header))
		return m.prove().bytes()
	}, aesPairs},
	{"xaes-pair", "the same key bytes, sealed and named as an XAES-256-GCM pair", ReasonNotForUs, (*message).honest, aesPairs},
	{"aes-body-short", "a body of AES-256-GCM that is shorter than a nonce", ReasonBody, func(m *message) []byte {
		m.underAES().seal()
		m.body = m.body[:11]
		return m.prove().bytes()
	}, aesPairs},
	{"ed25519", "an Ed25519 signature where an HMAC belongs", ReasonMalformed, func(m *message) []byte {
		m.seal()
		m.proof = ed25519.Sign(m.signer, labelled("envelope proof", m.digest(nil)))
		return m.bytes()
	}, nil},
	{"body-of-another-proved", "the body of another message, under a proof that verifies", ReasonBody, func(m *message) []byte {
		m.seal().body = draft(1).seal().body
		return m.prove().bytes()
	}, nil},
	{"body-short", "a body that is shorter than a nonce", ReasonBody, func(m *message) []byte {
		m.seal()
		m.body = m.body[:23]
		return m.prove().bytes()
	}, nil},
	{"padding-not-zero", "the last byte of the padding is not zero", ReasonBody, func(m *message) []byte {
		m.padded[63] = 1
		return m.honest()
	}, nil},
}

// underAES takes the same keys as an AES256_GCM pair.
func (m *message) underAES() *message {
	m.pair.kind = aesKind
	return m.with(atSealKey, encBin(m.pair.id()))
}

func aesPairs(e *end) { e.pairs = sharedAES }

// onSigned is about suite 2, whose parties share keys but not signatures.
var onSigned = []attack{
	{"wrong-receiver", "a message for another party, brought to this one", ReasonProof, (*message).honest, func(e *end) { e.party = "warehouse" }},
	{"no-receiver", "the sender's signature of a message for nobody", ReasonProof, func(m *message) []byte {
		m.receiver = ""
		return m.honest()
	}, nil},
	{"hmac", "a party's HMAC where the sender's signature belongs", ReasonMalformed, func(m *message) []byte {
		m.seal()
		m.proof = macOf(m.pair.mac, labelled("envelope proof hmac", m.digest(nil)))
		return m.bytes()
	}, nil},
	{"hmac-64", "the same, filled up to the size of a signature", ReasonProof, func(m *message) []byte {
		m.seal()
		m.proof = append(macOf(m.pair.mac, labelled("envelope proof hmac", m.digest(nil))), make([]byte, 32)...)
		return m.bytes()
	}, nil},
	{"suite-3", "suite 3 without recipients, signed", ReasonMalformed, func(m *message) []byte {
		m.receiver = ""
		return m.with(atSuite, encUint(3)).honest()
	}, func(e *end) { *e = endOf(3) }},
	{"unknown-pair", "under a pair that the reader does not have, signed", ReasonNotForUs, func(m *message) []byte {
		m.pair = pairOf(xaesKind, "unknown")
		return m.with(atSealKey, encBin(m.pair.id())).honest()
	}, nil},
	{"archived-pair", "under a pair that the reader has archived, signed", ReasonRetired, (*message).honest, func(e *end) { e.pairs = sharedMuchLater }},
	{"padding-not-zero", "the first byte of the padding is not zero, signed", ReasonBody, func(m *message) []byte {
		m.padded[4+len("attack at dawn")] = 1
		return m.honest()
	}, nil},
}

// onSignatures is about who signs, and when, in suites 2 and 3.
var onSignatures = []attack{
	{"other-name", "the sender signs under the name of another identity", ReasonSender, func(m *message) []byte {
		return m.with(atSender, encBin(castEve.fingerprint())).honest()
	}, nil},
	{"by-another", "another identity signs, under the sender's name and key id", ReasonProof, func(m *message) []byte {
		m.signer = castEve.signer()
		return m.honest()
	}, nil},
	{"key-of-another", "another identity signs under the sender's name and its own key id", ReasonUnlisted, func(m *message) []byte {
		m.signer = castEve.signer()
		return m.with(atProofKey, encBin(signingID(publicOf(m.signer)))).honest()
	}, nil},
	{"root-signs", "the sender's root signs, which is not a signing key", ReasonUnlisted, func(m *message) []byte {
		m.signer = castAlice.root()
		return m.with(atProofKey, encBin(signingID(publicOf(m.signer)))).honest()
	}, nil},
	{"too-early", "signed by a key that is not valid yet", ReasonProof, signedBy("alice signing 3", day(1.9)), later},
	{"too-late", "signed by a key that was retired before", ReasonProof, signedBy("alice signing 1", day(1).Add(10*time.Minute)), later},
	{"expired", "dated when the sender's statement expires", ReasonExpired, field(atTime, func() []byte { return millis(day(29)) }), nil},
	{"malleable", "the signature with its S plus the order of the group", ReasonProof, func(m *message) []byte {
		m.seal()
		m.proof = plusOrder(m.proof)
		return m.bytes()
	}, nil},
	{"other-purpose", "signed with the label of another purpose", ReasonProof, func(m *message) []byte {
		m.seal()
		m.proof = ed25519.Sign(m.signer, labelled("envelope proof hmac", m.digest(m.recipients())))
		return m.bytes()
	}, nil},
	{"proof-more", "a byte follows the signature", ReasonMalformed, func(m *message) []byte {
		m.seal()
		m.proof = append(m.proof, 0)
		return m.bytes()
	}, nil},
}

func signedBy(key string, at time.Time) func(m *message) []byte {
	return func(m *message) []byte {
		m.signer = signingKeyOf(key)
		return m.with(atProofKey, encBin(signingID(publicOf(m.signer)))).with(atTime, millis(at)).honest()
	}
}

func later(e *end) { e.from = &aliceLater }

// plusOrder adds the order of the group to S, a second encoding that some verifiers
// take (RFC 8032, section 8.4).
func plusOrder(sig []byte) []byte {
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.SetBit(order, 252, 1)
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	s = new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	return append(slices.Clone(sig[:32]), s...)
}

// onBodies is about padding and content keys, by a sender who signs it.
var onBodies = []attack{
	{"total-below", "a total of 63 bytes", ReasonBody, padding(14, 63), nil},
	{"total-above", "a total of 72 bytes where 64 are due", ReasonBody, padding(14, 72), nil},
	{"length-beyond", "a length beyond the end", ReasonBody, padding(61, 64), nil},
	{"chosen-total-below", "a chosen total that is below the length", ReasonBody, padding(1<<31|61, 64), nil},
	{"chosen-padding", "padding that is not zero under a chosen total", ReasonBody, func(m *message) []byte {
		m.padded = append(paddedTo(1<<31|14, make([]byte, 14), 99), 1)
		return m.honest()
	}, nil},
	{"no-length", "a padded plaintext of three bytes", ReasonBody, func(m *message) []byte {
		m.padded = []byte{0x80, 0, 0}
		return m.honest()
	}, nil},
	{"body-short", "a body that is shorter than a nonce", ReasonBody, func(m *message) []byte {
		m.seal()
		m.body = m.body[:11]
		return m.prove().bytes()
	}, nil},
	{"body-under-another-header", "the body was sealed under another header with the same content key", ReasonBody, func(m *message) []byte {
		body := m.seal().body
		m.with(atID, encBin(random(16))).seal().body = body
		return m.prove().bytes()
	}, nil},
	{"content-key-as-body-key", "the body is sealed under the content key itself", ReasonBody, func(m *message) []byte {
		m.seal()
		m.body = gcmSeal(m.content, m.padded, labelled("envelope body", m.header))
		return m.prove().bytes()
	}, nil},
	{"commitment", "the reader gets another content key than the one that is named", ReasonKey, func(m *message) []byte {
		m.content = random(32)
		return m.honest()
	}, nil},
	{"two-keys", "a body that opens under two content keys, of which the reader gets the one that is not named", ReasonKey, twoKeys, nil},
}

func padding(length uint32, total int) func(m *message) []byte {
	return func(m *message) []byte {
		m.padded = paddedTo(length, make([]byte, min(14, total-4)), total)
		return m.honest()
	}
}

// onRecipients is about the list of recipients, by a sender who signs it.
var onRecipients = []attack{
	{"sender-exchanged", "another identity puts its name on the message, and signs", ReasonKey, func(m *message) []byte {
		m.signer = castEve.signer()
		m.seal().with(atSender, encBin(castEve.fingerprint())).with(atProofKey, encBin(signingID(publicOf(m.signer))))
		m.header = joined(m.fields)
		return m.prove().bytes()
	}, func(e *end) { e.from = &castEve }},
	{"seal-key-exchanged", "a hop names another content key", ReasonProof, exchanged(atSealKey, func() []byte { return encBin(random(32)) }), nil},
	{"time-exchanged", "a hop dates the message a minute later", ReasonProof, exchanged(atTime, func() []byte { return millis(castTime.Add(time.Minute)) }), nil},
	{"type-exchanged", "a hop changes the content type", ReasonProof, exchanged(atType, func() []byte { return encStr("text/html") }), nil},
	{"context-exchanged", "a hop puts in the context that the reader expects", ReasonProof, exchanged(atContext, func() []byte { return encStr("invoices") }), func(e *end) { e.context = "invoices" }},
	{"recipients-bit", "a bit of the reader's sealed key is changed", ReasonProof, func(m *message) []byte {
		m.seal().entries[0][1000] ^= 1
		return m.bytes()
	}, nil},
	{"recipients-nil", "no recipients, signed", ReasonMalformed, func(m *message) []byte {
		m.seal().entries = nil
		return m.prove().bytes()
	}, nil},
	{"recipients-none", "an empty array of recipients, signed", ReasonMalformed, func(m *message) []byte {
		m.seal().entries = [][]byte{}
		return m.prove().bytes()
	}, nil},
	{"recipients-unsorted", "recipients in descending order, signed", ReasonMalformed, func(m *message) []byte {
		slices.Reverse(m.alsoTo(castCarol).seal().entries)
		return m.prove().bytes()
	}, nil},
	{"recipients-twice", "the reader is listed twice, signed", ReasonMalformed, func(m *message) []byte {
		m.to = []addressee{castBob.addressee(), castBob.addressee()}
		return m.honest()
	}, nil},
	{"recipients-long-array", "the array of recipients has a length that is not in its shortest form, signed", ReasonMalformed, func(m *message) []byte {
		return withRecipients(m, append(longArray(1), m.seal().recipients()[1:]...))
	}, nil},
	{"recipients-more", "a byte follows the array of recipients, signed", ReasonMalformed, func(m *message) []byte {
		return withRecipients(m, append(m.seal().recipients(), 0))
	}, nil},
	{"recipients-three-values", "an entry of three values, signed", ReasonMalformed, func(m *message) []byte {
		last := &m.seal().entries[0]
		*last = slices.Concat(encArray(3), (*last)[1:], encNil())
		return m.prove().bytes()
	}, nil},
	{"recipients-cut", "a sealed key of 1167 bytes, signed", ReasonMalformed, func(m *message) []byte {
		last := &m.seal().entries[0]
		*last = append((*last)[:35:35], encBin((*last)[38:38+1167])...)
		return m.prove().bytes()
	}, nil},
	{"not-listed", "a message for others", ReasonNotForUs, func(m *message) []byte {
		m.to = []addressee{castCarol.addressee()}
		return m.honest()
	}, nil},
	{"archived-key", "sealed to a key that the reader has archived", ReasonRetired, (*message).honest, func(e *end) { e.who = &bobMuchLater }},
	{"sealed-key-of-another", "the reader's sealed key is from another message, signed", ReasonKey, func(m *message) []byte {
		m.seal().entries = draft(3).seal().entries
		return m.prove().bytes()
	}, nil},
	{"sealed-key-exchanged", "two recipients have each other's sealed key, signed", ReasonKey, func(m *message) []byte {
		e := m.alsoTo(castCarol).seal().entries
		e[0], e[1] = slices.Concat(e[0][:35], e[1][35:]), slices.Concat(e[1][:35], e[0][35:])
		return m.prove().bytes()
	}, nil},
	{"info-of-another", "somebody lists the reader's key as its own: sealed to that one by fingerprint", ReasonKey, func(m *message) []byte {
		m.to = []addressee{{fingerprint: castEve.fingerprint(), public: castBob.addressee().public}}
		return m.honest()
	}, nil},
	{"forwarded", "a recipient seals the content key to another one, under the sender's header and proof", ReasonProof, func(m *message) []byte {
		m.seal().to = []addressee{castEve.addressee()}
		m.wrap()
		return m.bytes()
	}, func(e *end) { e.who = &castEve }},
}

func withRecipients(m *message, recipients []byte) []byte {
	parts := m.proveOver(recipients).parts()
	parts[inRecipients] = encBin(recipients)
	return joined(parts)
}

func (m *message) alsoTo(p person) *message {
	m.to = append(m.to, p.addressee())
	return m
}

// twoKeys makes a body of AES-GCM that opens under two content keys, both times to
// a padded plaintext as it should be (Dodis et al., Fast Message Franking, 2018).
// The header names the one key and Carol gets it; the reader gets the other.
func twoKeys(m *message) []byte {
	named, other := m.content, random(32)
	m.to[0].content = other // Bob's
	m.alsoTo(castCarol).seal()
	m.body = openTwice(derivedBodyKey(named), derivedBodyKey(other), labelled("envelope body", m.header))
	return m.prove().bytes()
}
