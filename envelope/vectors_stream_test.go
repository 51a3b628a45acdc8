package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"slices"
)

// Vectors of streams, docs/protocol.md section 3.6.

const atSalt = atContext + 1

// A streamMessage is a stream in the making. Its header, keys and recipients are
// made as those of a message.
type streamMessage struct {
	*message
	salt           []byte
	plains         [][]byte // of the segments: length ‖ data ‖ zeros
	segments       [][]byte
	opening, final []byte
}

// streamDraft is an honest stream of a suite, not sealed yet, for endOf(suite).
func streamDraft(suite int, data []byte) *streamMessage {
	m := draft(suite)
	m.headerLabel = "envelope stream header"
	s := &streamMessage{message: m, salt: random(32)}
	m.fields = append(m.fields, encBin(s.salt))
	unpadded := len(data)/65532*65536 + 4 + len(data)%65532
	s.plains = laidOut(data, paddedTotal(unpadded), 0)
	return s
}

// laidOut splits data and padding into the plaintexts of segments. The mark goes to
// the length of the segment with the rest.
func laidOut(data []byte, total int, mark uint32) (plains [][]byte) {
	for ; len(data) >= 65532; data, total = data[65532:], total-65536 {
		plains = append(plains, paddedTo(65532, data[:65532], 65536))
	}
	plains = append(plains, paddedTo(uint32(len(data))|mark, data, min(total, 65536)))
	for total -= 65536; total > 0; total -= 65536 {
		plains = append(plains, paddedTo(0, nil, min(total, 65536)))
	}
	return plains
}

func (s *streamMessage) seal() *streamMessage {
	s.header = joined(s.fields)
	s.wrap()
	s.proveOpening()
	s.segments = nil
	for i, plain := range s.plains {
		s.segments = append(s.segments, s.segment(i, i == len(s.plains)-1, plain))
	}
	return s.finish()
}

func (s *streamMessage) proveOpening() {
	s.opening = s.proofOf("envelope stream opening proof", s.openingDigest())
}

func (s *streamMessage) openingDigest() []byte {
	return sha(labelled("envelope stream opening digest", lengthPrefixed(s.header, s.recipients(), []byte(s.receiver))))
}

// key is the stream key.
func (s *streamMessage) key() []byte {
	ikm := s.content
	if s.suite != 3 {
		ikm = slices.Concat(s.pair.aead, s.pair.mac)
	}
	return hkdf32(ikm, s.salt, labelled("envelope stream key", s.headerDigest()))
}

func (s *streamMessage) segment(number int, last bool, plain []byte) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[3:], uint64(number))
	if last {
		nonce[11] = 1
	}
	return made(cipher.NewGCM(made(aes.NewCipher(s.key())))).Seal(nil, nonce, plain, nil)
}

// finish makes the final proof anew, for the sender that the stream names.
func (s *streamMessage) finish() *streamMessage {
	s.final = s.proofOf("envelope stream final proof", s.finalDigest())
	return s
}

func (s *streamMessage) finalDigest() []byte {
	b := labelled("envelope stream final digest", s.headerDigest(), lengthPrefixed([]byte(s.receiver)))
	for _, segment := range s.segments {
		b = append(b, sha(labelled("envelope stream segment", segment))...)
	}
	return sha(b)
}

// headParts are the four values of the head, encoded.
func (s *streamMessage) headParts() [][]byte {
	return append(s.parts()[:inBody], encBin(s.opening))
}

func (s *streamMessage) join(head []byte) []byte {
	return slices.Concat(head, slices.Concat(s.segments...), s.final)
}

func (s *streamMessage) bytes() []byte { return s.join(joined(s.headParts())) }

// goodStreams are sealed by a Writer.
func goodStreams() (all []making) {
	add := func(suite int, name, comment string, plaintext []byte, change func(s *Sealer, e *end)) {
		all = append(all, making{"good-stream-" + suiteNames[suite] + "-" + name, func() vector {
			s, e := sealerOf(suite), endOf(suite)
			if change != nil {
				change(s, &e)
			}
			return e.vector("stream", comment, streamOf(s, plaintext)).gives(plaintext)
		}})
	}
	for suite := 1; suite <= 3; suite++ {
		for _, n := range []int{0, 1, 61} {
			add(suite, fmt.Sprintf("%06d-bytes", n), "content of this size", looksRandom(n), nil)
		}
		add(suite, "unpadded", "no padding", []byte("unpadded"), func(s *Sealer, _ *end) { s.Padding = NoPadding() })
	}
	add(1, "example", "one short stream, taken apart in docs/protocol.md", []byte("attack at dawn"), nil)
	add(1, "unpadded-empty", "no content and no padding", []byte{}, func(s *Sealer, _ *end) { s.Padding = NoPadding() })
	add(2, "bucket", "padded to a bucket of 100 bytes", []byte("in a bucket"), func(s *Sealer, _ *end) { s.Padding = Buckets(100) })
	for suite := 1; suite <= 2; suite++ {
		add(suite, "aes", "under an AES256_GCM pair", []byte("attack at dawn"), func(s *Sealer, e *end) {
			e.pairs = sharedAES
			s.Shared = sharedAES.keyset()
		})
	}
	add(1, "065531-bytes", "content and length are one segment", bytes.Repeat([]byte("s"), 65531), nil)
	add(2, "065532-bytes", "content that fills a segment, and so an empty one follows", bytes.Repeat([]byte("s"), 65532), nil)
	add(3, "065533-bytes", "content that fills a segment and one byte of the next", bytes.Repeat([]byte("s"), 65533), nil)
	add(1, "200000-bytes", "four segments", bytes.Repeat([]byte("s"), 200000), nil)
	add(1, "bucket-of-two", "padded to a bucket that takes a segment of padding", []byte("in a bucket"), func(s *Sealer, _ *end) { s.Padding = Buckets(66000) })
	add(2, "retired-signing-key", "signed by a key that is listed as retired, in its time", []byte("late"), func(_ *Sealer, e *end) { e.from = &aliceLater })
	add(3, "retiring-sealing-key", "sealed to a key that has begun to retire at the opener", []byte("late"), func(_ *Sealer, e *end) { e.who = &bobLater })
	all = append(all, making{"good-stream-recipients-rewrapped", func() vector {
		before, after := rewrappers()
		var b bytes.Buffer
		must(after.RewrapStream(&b, bytes.NewReader(streamOf(before, []byte("again")))))
		e := endOf(3)
		e.who = &castCarol
		return e.vector("stream", "sealed again for others by its sender", b.Bytes()).gives([]byte("again"))
	}})
	return all
}

func streamOf(s *Sealer, plaintext []byte) []byte {
	var b bytes.Buffer
	w := made(s.NewWriter(&b))
	made(w.Write(plaintext))
	must(w.Finish())
	return b.Bytes()
}

// A streamAttack is what somebody makes of a draft.
type streamAttack struct {
	name, comment string
	suite         int
	reason        Reason
	content       int // its size
	sealed        func(s *streamMessage) []byte
	reader        func(e *end) // nil for endOf the suite
}

func badStreams() (all []making) {
	for _, a := range slices.Concat(streamFraming, streamProofs, streamSegments, streamLayouts) {
		all = append(all, making{"bad-stream-" + a.name, func() vector {
			e := endOf(a.suite)
			if a.reader != nil {
				a.reader(&e)
			}
			s := streamDraft(a.suite, bytes.Repeat([]byte("s"), a.content))
			return e.vector("stream", a.comment, a.sealed(s)).because(a.reason)
		}})
	}
	all = append(all, making{"bad-stream-read-as-envelope", func() vector {
		return endOf(1).vector("envelope", "a stream, read as an envelope", streamDraft(1, []byte("s")).seal().bytes()).because(ReasonMalformed)
	}})
	return all
}

func headPart(at int, encode func(s *streamMessage) []byte) func(s *streamMessage) []byte {
	return func(s *streamMessage) []byte {
		parts := s.seal().headParts()
		parts[at] = encode(s)
		return s.join(joined(parts))
	}
}

func streamBytes(change func(b []byte) []byte) func(s *streamMessage) []byte {
	return func(s *streamMessage) []byte { return change(s.seal().bytes()) }
}

// after has the sealed stream changed.
func after(change func(s *streamMessage)) func(s *streamMessage) []byte {
	return func(s *streamMessage) []byte {
		change(s.seal())
		return s.bytes()
	}
}

const inOpening = inBody // a head ends where an envelope has its body

var streamFraming = []streamAttack{
	{"empty", "no bytes at all", 1, ReasonMalformed, 10, func(*streamMessage) []byte { return []byte{} }, nil},
	{"head-only", "nothing follows the head", 1, ReasonMalformed, 10, after(func(s *streamMessage) { s.segments, s.final = nil, nil }), nil},
	{"cut", "the last byte is missing", 1, ReasonBody, 10, streamBytes(func(b []byte) []byte { return b[:len(b)-1] }), nil},
	{"one-byte-more", "a zero byte follows", 1, ReasonBody, 10, streamBytes(func(b []byte) []byte { return append(b, 0) }), nil},
	{"long-array", "the head's length is not in its shortest form", 1, ReasonMalformed, 10, streamBytes(func(b []byte) []byte { return append(longArray(4), b[1:]...) }), nil},
	{"five-values", "a fifth value in the head", 1, ReasonMalformed, 10, func(s *streamMessage) []byte { return s.join(joined(append(s.seal().headParts(), encNil()))) }, nil},
	{"version-2", "version 2", 1, ReasonVersion, 10, headPart(inVersion, func(*streamMessage) []byte { return encUint(2) }), nil},
	{"version-2-other-values", "version 2, of values that version 1 does not know", 1, ReasonVersion, 10, func(s *streamMessage) []byte {
		return s.join(joined([][]byte{encUint(2), encStr("x"), encUint(1 << 40), encArray(0)}))
	}, nil},
	{"header-long", "the header's length is not in its shortest form", 1, ReasonMalformed, 10, headPart(inHeader, func(s *streamMessage) []byte { return longBin16(s.header) }), nil},
	{"header-eight-fields", "the header has no salt, as that of an envelope", 1, ReasonMalformed, 10, func(s *streamMessage) []byte {
		s.fields = s.fields[:atSalt]
		return s.seal().bytes()
	}, nil},
	{"opening-nil", "no opening proof", 1, ReasonMalformed, 10, headPart(inOpening, func(*streamMessage) []byte { return encNil() }), nil},
	{"opening-cut", "the last byte of the opening proof is missing", 1, ReasonMalformed, 10, headPart(inOpening, func(s *streamMessage) []byte { return encBin(s.opening[:31]) }), nil},
	{"recipients-added", "recipients in a suite that has none, under the opening proof", 1, ReasonMalformed, 10, after(func(s *streamMessage) {
		s.entries = [][]byte{}
		s.proveOpening()
	}), nil},
	{"salt-short", "a salt of 31 bytes", 1, ReasonMalformed, 10, func(s *streamMessage) []byte {
		s.salt = s.salt[:31]
		s.with(atSalt, encBin(s.salt))
		return s.seal().bytes()
	}, nil},
	{"recipients-nil", "no recipients, signed", 3, ReasonMalformed, 10, func(s *streamMessage) []byte {
		s.to = nil
		return s.seal().bytes()
	}, nil},
	{"envelope", "an envelope, read as a stream", 1, ReasonMalformed, 10, func(*streamMessage) []byte { return draft(1).honest() }, nil},
	{"envelope-parts", "header, proof and body of an envelope, put together as a stream", 1, ReasonMalformed, 10, func(*streamMessage) []byte {
		m := draft(1).seal()
		return slices.Concat(joined([][]byte{encUint(1), encBin(m.header), encNil(), encBin(m.proof)}), m.body, m.proof)
	}, nil},
}

var streamProofs = []streamAttack{
	{"wrong-receiver", "a stream for another party, brought to this one", 2, ReasonProof, 10, after(func(*streamMessage) {}), func(e *end) { e.party = "warehouse" }},
	{"opening-bit", "the last bit of the opening proof is changed", 1, ReasonProof, 10, after(func(s *streamMessage) { s.opening[31] ^= 1 }), nil},
	{"opening-of-another", "the opening proof of another stream of this sender", 1, ReasonProof, 10, after(func(s *streamMessage) { s.opening = streamDraft(1, []byte("s")).seal().opening }), nil},
	{"opening-purpose", "the opening proof was made for the purpose of the final one", 2, ReasonProof, 10, after(func(s *streamMessage) { s.opening = s.proofOf("envelope stream final proof", s.openingDigest()) }), nil},
	{"opening-as-envelope", "the opening proof was made for the purpose of an envelope's", 2, ReasonProof, 10, after(func(s *streamMessage) { s.opening = s.proofOf("envelope proof", s.openingDigest()) }), nil},
	{"final-bit", "the last bit of the final proof is changed", 2, ReasonProof, 10, after(func(s *streamMessage) { s.final[63] ^= 1 }), nil},
	{"final-of-another", "the final proof of another stream of this sender", 1, ReasonProof, 10, after(func(s *streamMessage) { s.final = streamDraft(1, []byte("s")).seal().final }), nil},
	{"final-is-opening", "the opening proof stands in the place of the final one", 1, ReasonProof, 10, after(func(s *streamMessage) { s.final = s.opening }), nil},
	{"final-without-receiver", "the final proof names no receiver", 2, ReasonProof, 10, after(func(s *streamMessage) {
		s.receiver = ""
		s.finish()
	}), nil},
	{"final-hmac", "a party's HMAC where the sender's final signature belongs", 2, ReasonBody, 10, after(func(s *streamMessage) {
		s.final = macOf(s.pair.mac, labelled("envelope stream final proof hmac", s.finalDigest()))
	}), nil},
	{"by-key-holder", "another party, which has the stream's key, puts in a segment of its own", 2, ReasonProof, 10, after(func(s *streamMessage) { s.segments[0] = s.segment(0, true, paddedOf([]byte("forged"))) }), nil},
	{"by-recipient", "another recipient, which has the stream's key, puts in a segment of its own", 3, ReasonProof, 10, func(s *streamMessage) []byte {
		s.alsoTo(castCarol)
		s.seal().segments[0] = s.segment(0, true, paddedOf([]byte("forged")))
		return s.bytes()
	}, nil},
	{"commitment", "the reader gets another content key than the one that is named", 3, ReasonKey, 10, func(s *streamMessage) []byte {
		s.content = random(32)
		return s.seal().bytes()
	}, nil},
	{"envelope-info", "the content key is sealed with the header digest of an envelope", 3, ReasonKey, 10, func(s *streamMessage) []byte {
		s.seal().headerLabel = "envelope header"
		s.wrap()
		s.headerLabel = "envelope stream header"
		s.proveOpening()
		return s.finish().bytes()
	}, nil},
	{"expired", "dated when the sender's statement expires", 2, ReasonExpired, 10, func(s *streamMessage) []byte {
		s.with(atTime, millis(day(29)))
		return s.seal().bytes()
	}, nil},
	{"archived-pair", "under a pair that the reader has archived", 1, ReasonRetired, 10, after(func(*streamMessage) {}), func(e *end) { e.pairs = sharedMuchLater }},
}

// streamSegments is what is done to segments, by a hop or by who has the key.
var streamSegments = []streamAttack{
	{"segment-bit", "the last bit of the segment is changed", 1, ReasonBody, 10, after(func(s *streamMessage) { s.segments[0][79] ^= 1 }), nil},
	{"head-of-another", "the head of another stream of this sender", 1, ReasonBody, 10, func(s *streamMessage) []byte {
		return s.seal().join(joined(streamDraft(1, []byte("s")).seal().headParts()))
	}, nil},
	{"salt-exchanged", "the segment was sealed with another salt than the header's", 1, ReasonBody, 10, func(s *streamMessage) []byte {
		s.salt = random(32)
		return s.seal().bytes()
	}, nil},
	{"other-header", "the segment was sealed under another header with the same salt", 1, ReasonBody, 10, func(s *streamMessage) []byte {
		segments := s.seal().segments
		s.with(atID, encBin(random(16)))
		s.seal().segments = segments
		return s.finish().bytes()
	}, nil},
	{"last-flag-missing", "the only segment does not say that it is the last", 1, ReasonBody, 10, after(func(s *streamMessage) {
		s.segments[0] = s.segment(0, false, s.plains[0])
		s.finish()
	}), nil},
	{"number-1", "the first segment has number 1", 1, ReasonBody, 10, after(func(s *streamMessage) {
		s.segments[0] = s.segment(1, true, s.plains[0])
		s.finish()
	}), nil},
	{"first-dropped", "the first of two segments is missing", 1, ReasonBody, 65532, after(func(s *streamMessage) { s.segments = s.segments[1:] }), nil},
	{"last-dropped", "the last of two segments is missing", 1, ReasonBody, 65532, after(func(s *streamMessage) { s.segments = s.segments[:1] }), nil},
	{"swapped", "the first two of three segments are exchanged", 1, ReasonBody, 2 * 65532, after(func(s *streamMessage) { s.segments[0], s.segments[1] = s.segments[1], s.segments[0] }), nil},
}

// streamLayouts are by a sender who is not honest and proves them.
var streamLayouts = []streamAttack{
	{"padding-not-zero", "the last byte of the padding is not zero", 1, ReasonBody, 10, plains(func(p [][]byte) [][]byte { p[0][63] = 1; return p }), nil},
	{"total-above", "a total of 72 bytes where 64 are due", 1, ReasonBody, 10, plains(func([][]byte) [][]byte { return laidOut(make([]byte, 10), 72, 0) }), nil},
	{"total-below", "a total of 63 bytes", 1, ReasonBody, 10, plains(func([][]byte) [][]byte { return laidOut(make([]byte, 10), 63, 0) }), nil},
	{"length-beyond", "a length beyond the end", 1, ReasonBody, 10, plains(func([][]byte) [][]byte { return [][]byte{paddedTo(61, nil, 64)} }), nil},
	{"chosen-length-beyond", "a length beyond the end, the total chosen", 1, ReasonBody, 10, plains(func([][]byte) [][]byte { return [][]byte{paddedTo(1<<31|97, nil, 100)} }), nil},
	{"no-length", "a segment of three bytes and the tag", 1, ReasonMalformed, 10, plains(func([][]byte) [][]byte { return [][]byte{{0x80, 0, 0}} }), nil},
	{"full-and-last", "content that fills a segment, and no empty one follows", 1, ReasonBody, 65532, plains(func(p [][]byte) [][]byte { return p[:1] }), nil},
	{"full-and-chosen", "content that fills a segment, which says that the total was chosen", 1, ReasonBody, 65532, plains(func(p [][]byte) [][]byte {
		p[0][0] |= 0x80
		return p[:1]
	}), nil},
	{"data-after-end", "a segment with data follows one that was not full", 1, ReasonBody, 10, plains(func([][]byte) [][]byte {
		return [][]byte{paddedTo(1<<31|10, nil, 65536), paddedTo(5, nil, 64)}
	}), nil},
}

func plains(change func(p [][]byte) [][]byte) func(s *streamMessage) []byte {
	return func(s *streamMessage) []byte {
		s.plains = change(s.plains)
		return s.seal().bytes()
	}
}
