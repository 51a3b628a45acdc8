package envelope

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Vectors of public identities, section 2.1.

func goodIdentities() (all []making) {
	add := func(name, comment string, encoded func() []byte) {
		all = append(all, making{"good-identity-" + name, func() vector { return identityVector(comment, encoded()) }})
	}
	add("example", "one key of each use, taken apart in docs/protocol.md", castAlice.statement().sign)
	add("rotated", "the primary, a pending and a retired signing key", aliceLater.statement().sign)
	add("revoked", "a revocation", func() []byte {
		s := castAlice.statement().with(atSerial, encUint(math.MaxUint64))
		s.keys = nil
		return s.sign()
	})
	add("largest-numbers", "the highest serial before a revocation's, and the latest times", func() []byte {
		return castAlice.statement().with(atSerial, encUint(math.MaxUint64-1)).
			with(atIssued, encUint(1<<40-2)).with(atExpires, encUint(1<<40-1)).sign()
	})
	add("largest", "a name of 128 bytes and as many keys as may be listed", func() []byte {
		s := castAlice.statement().with(atName, encStr(strings.Repeat("\u00e9", 64)))
		s.keys = slices.Insert(s.keys, 1, moreSigningKeys(62)...)
		return s.sign()
	})
	return all
}

func identityVector(comment string, encoded []byte) vector {
	return vector{Comment: comment, Kind: "identity", Expect: "open", Sealed: encoded}
}

func moreSigningKeys(n int) (keys []listedKey) {
	for i := range n {
		keys = append(keys, listedKey{1, 1, publicOf(signingKeyOf(fmt.Sprintf("listed %d", i))), unix(castTime), 0})
	}
	return keys
}

// badIdentities are signed by their root, unless that is what is wrong.
func badIdentities() (all []making) {
	for _, c := range []struct {
		name, comment string
		encoded       func(s *statement) []byte
	}{
		{"bit", "the last bit of the signature is changed", func(s *statement) []byte { b := s.sign(); b[len(b)-1] ^= 1; return b }},
		{"more", "a zero byte follows", func(s *statement) []byte { return append(s.sign(), 0) }},
		{"by-another", "another root signs", func(s *statement) []byte { return signStatement(s.bytes(), castEve.root()) }},
		{"malleable", "the signature with its S plus the order of the group", func(s *statement) []byte {
			b := s.sign()
			return append(b[:len(b)-64], plusOrder(b[len(b)-64:])...)
		}},
		{"other-purpose", "the root's signature for another purpose", func(s *statement) []byte {
			return joined([][]byte{encBin(s.bytes()), encBin(ed25519.Sign(s.root, labelled("keys succession", s.bytes())))})
		}},
		{"long-integer", "the version is not in its shortest form", func(s *statement) []byte { return s.with(atVersion, longUint(1)).sign() }},
		{"version-2", "version 2", func(s *statement) []byte { return s.with(atVersion, encUint(2)).sign() }},
		{"version-2-other-values", "version 2, of values that version 1 does not know, with two signatures", func(s *statement) []byte {
			b := joined([][]byte{encUint(2), encBin(random(64)), encStr("x")})
			return joined([][]byte{encBin(b), encBin(random(64)), encBin(random(3309))})
		}},
		{"name-empty", "no name", func(s *statement) []byte { return s.with(atName, encStr("")).sign() }},
		{"name-too-long", "a name of 129 bytes", func(s *statement) []byte { return s.with(atName, encStr(strings.Repeat("n", 129))).sign() }},
		{"name-not-utf8", "a name that is not UTF-8", func(s *statement) []byte { return s.with(atName, encStr("al\xc0\x80ce")).sign() }},
		{"root-small-order", "a root of small order, under which one signature fits every statement", func(s *statement) []byte {
			root := point("0100000000000000000000000000000000000000000000000000000000000000")
			return joined([][]byte{encBin(s.with(atRoot, encBin(root)).bytes()), encBin(append(root, make([]byte, 32)...))})
		}},
		{"too-long-lived", "expires 30 days and a second after it was issued", func(s *statement) []byte {
			return s.with(atExpires, encUint(unix(castAlice.issued)+30*86400+1)).sign()
		}},
		{"no-keys", "no keys, and no revocation", withKeys()},
		{"no-sealing-key", "no sealing key", func(s *statement) []byte { s.keys = s.keys[:1]; return s.sign() }},
		{"revoked-with-keys", "a revocation that lists keys", func(s *statement) []byte { return s.with(atSerial, encUint(math.MaxUint64)).sign() }},
		{"unsorted", "the sealing key stands before the signing key", func(s *statement) []byte { slices.Reverse(s.keys); return s.sign() }},
		{"twice", "a signing key is listed twice", func(s *statement) []byte { s.keys = slices.Insert(s.keys, 0, s.keys[0]); return s.sign() }},
		{"too-many-keys", "65 keys", func(s *statement) []byte { s.keys = slices.Insert(s.keys, 1, moreSigningKeys(63)...); return s.sign() }},
		{"window-closed", "a key whose window ends when it begins", key(0, func(k *listedKey) { k.to = k.from })},
		{"other-type", "a signing key of type 2", key(0, func(k *listedKey) { k.kind = 2 })},
		{"signing-small-order", "a signing key of small order", key(0, func(k *listedKey) {
			k.public = point("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
		})},
		{"signing-small-order-8", "a signing key of order 8, the sign of x set", key(0, func(k *listedKey) {
			k.public = point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")
		})},
		{"signing-not-reduced", "a signing key that is not reduced modulo 2^255-19", key(0, func(k *listedKey) {
			k.public = point("f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
		})},
		{"x25519-small-order", "a sealing key whose X25519 half has small order", x25519(func(b []byte) {
			copy(b, point("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"))
		})},
		{"x25519-top-bit", "a sealing key whose X25519 half has its top bit set", x25519(func(b []byte) { b[31] |= 0x80 })},
		{"x25519-not-reduced", "a sealing key whose X25519 half is not reduced", x25519(func(b []byte) {
			copy(b, point("f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))
		})},
		{"ml-kem-modulus", "a sealing key with a coefficient of 3329, the modulus of ML-KEM", key(1, func(k *listedKey) {
			k.public[0], k.public[1] = 0x01, k.public[1]&0xf0|0x0d // 12 bits, little-endian
		})},
		{"sealing-short", "a sealing key of 1215 bytes", key(1, func(k *listedKey) { k.public = k.public[:1215] })},
	} {
		all = append(all, making{"bad-identity-" + c.name, func() vector {
			v := identityVector(c.comment, c.encoded(castAlice.statement()))
			v.Expect = "refused"
			return v
		}})
	}
	return all
}

func withKeys(keys ...listedKey) func(s *statement) []byte {
	return func(s *statement) []byte { s.keys = keys; return s.sign() }
}

func key(at int, change func(k *listedKey)) func(s *statement) []byte {
	return func(s *statement) []byte { change(&s.keys[at]); return s.sign() }
}

// x25519 changes the second half of a sealing key.
func x25519(change func(b []byte)) func(s *statement) []byte {
	return key(1, func(k *listedKey) { change(k.public[1184:]) })
}

func point(text string) []byte { return made(hex.DecodeString(text)) }
