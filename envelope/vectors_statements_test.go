package envelope

import (
	"bytes"
	"crypto/ed25519"
	"math"
	"slices"
	"strings"
	"time"
)

// Vectors of sections 2 to 2.3 at their bounds, beside those of vectors_identity_test.go.

func goodOthers() []making {
	return slices.Concat(edgeIdentities(true), verifications(true), successions(true), vouchers(true),
		makingsOf("fingerprint", true, goodFingerprints), makingsOf("safety", true, goodCodes), privates(true))
}

func badOthers() []making {
	return slices.Concat(edgeIdentities(false), verifications(false), successions(false), vouchers(false),
		makingsOf("fingerprint", false, badFingerprints), makingsOf("safety", false, badCodes), privates(false))
}

// A statementCase changes Alice's statement and signs it.
type statementCase struct {
	name, comment string
	good          bool
	sealed        func(s *statement) []byte
}

func changed(change func(s *statement)) func(s *statement) []byte {
	return func(s *statement) []byte { change(s); return s.sign() }
}

func issuedFor(issued, expires uint64) func(s *statement) []byte {
	return func(s *statement) []byte {
		return s.with(atIssued, encUint(issued)).with(atExpires, encUint(expires)).sign()
	}
}

// keyed has the signing key replaced, which is the first.
func keyed(public string) func(s *statement) []byte {
	return key(0, func(k *listedKey) { k.public = point(public) })
}

// nearP is 32 bytes near p: the lowest byte, bytes of ff, and the highest.
func nearP(lowest, highest string) string { return lowest + strings.Repeat("ff", 30) + highest }

func uOf(text string) func(s *statement) []byte {
	return x25519(func(b []byte) { copy(b, point(text)) })
}

// sizedIdentity has many keys, and a name that makes it of n bytes.
func sizedIdentity(n int) func(s *statement) []byte {
	return func(s *statement) []byte {
		s.keys = slices.Concat(s.keys[:1], moreSigningKeys(23), slices.Repeat(s.keys[1:], 4))
		for i := range 4 {
			s.keys[24+i].public = sealingPublic(testSecret("listed " + string(rune('a'+i))))
		}
		least := len(s.with(atName, encStr(strings.Repeat("n", 64))).sign())
		return s.with(atName, encStr(strings.Repeat("n", 64+n-least))).sign()
	}
}

// recoded has the encoding of the statement changed before it is signed.
func recoded(change func(b []byte) []byte) func(s *statement) []byte {
	return func(s *statement) []byte { return signStatement(change(s.bytes()), s.root) }
}

const (
	zeroPoint = "0000000000000000000000000000000000000000000000000000000000000000"
	onePoint  = "0100000000000000000000000000000000000000000000000000000000000000"
)

var statementCases = []statementCase{
	{"serial-1", "the lowest serial", true, func(s *statement) []byte { return s.with(atSerial, encUint(1)).sign() }},
	{"serial-last", "the highest serial that does not revoke", true, func(s *statement) []byte { return s.with(atSerial, encUint(math.MaxUint64-1)).sign() }},
	{"serial-0", "serial 0", false, func(s *statement) []byte { return s.with(atSerial, encUint(0)).sign() }},
	{"name-shortest", "a name of one byte, U+0000", true, func(s *statement) []byte { return s.with(atName, encStr("\x00")).sign() }},
	{"name-bom", "a name that is a byte order mark", true, func(s *statement) []byte { return s.with(atName, encStr("\ufeff")).sign() }},
	{"name-characters", "a name of 65 characters and 130 bytes", false, func(s *statement) []byte { return s.with(atName, encStr(twoByte(65))).sign() }},
	{"size-6144", "of the largest size", true, sizedIdentity(6144)},
	{"size-6145", "one byte larger", false, sizedIdentity(6145)},
	{"issued-0", "issued in 1970, and for 30 days", true, issuedFor(0, 2_592_000)},
	{"one-second", "expires a second after it was issued", true, issuedFor(1000, 1001)},
	{"last-times", "expires at 2^40 - 1", true, issuedFor(1<<40-2, 1<<40-1)},
	{"expires-beyond", "expires at 2^40", false, issuedFor(1<<40-1, 1<<40)},
	{"expires-when-issued", "expires when it was issued", false, issuedFor(1000, 1000)},
	{"expires-before", "expires before it was issued", false, issuedFor(1000, 999)},
	{"window-last", "a key that is valid from 2^40 - 2 to 2^40 - 1", true, key(0, func(k *listedKey) { k.from, k.to = 1<<40-2, 1<<40-1 })},
	{"window-any", "a sealing key that is valid for one second in 1970, long before it was issued", true, key(1, func(k *listedKey) { k.from, k.to = 0, 1 })},
	{"window-from-beyond", "a key that is valid from 2^40", false, key(0, func(k *listedKey) { k.from = 1 << 40 })},
	{"window-to-beyond", "a key that is valid to 2^40", false, key(0, func(k *listedKey) { k.to = 1 << 40 })},
	{"window-reversed", "a key whose window ends before it begins", false, key(0, func(k *listedKey) { k.to = k.from - 1 })},
	{"use-0", "a key of use 0", false, changed(func(s *statement) { s.keys = slices.Insert(s.keys, 0, s.keys[0]); s.keys[0].use = 0 })},
	{"use-3", "a key of use 3", false, changed(func(s *statement) { s.keys = append(s.keys, s.keys[1]); s.keys[2].use, s.keys[2].kind = 3, 3 })},
	{"sealing-type-1", "a sealing key of type 1", false, key(1, func(k *listedKey) { k.kind = 1 })},
	{"sealing-twice", "a sealing key is listed twice, for other times", false, changed(func(s *statement) { s.keys = append(s.keys, s.keys[1]); s.keys[2].from++ })},
	{"sealing-two", "two sealing keys", true, changed(func(s *statement) {
		s.keys = append(s.keys, s.keys[1])
		s.keys[2].public = sealingPublic(testSecret("another sealing key"))
	})},
	{"no-signing-key", "no signing key", false, changed(func(s *statement) { s.keys = s.keys[1:] })},
	{"signing-long", "a signing key of 33 bytes", false, key(0, func(k *listedKey) { k.public = append(slices.Clone(k.public), 0) })},
	{"key-six-values", "a key with a sixth value", false, recoded(func(b []byte) []byte {
		at := bytes.Index(b, castAlice.listed()[0].encoded())
		n := len(castAlice.listed()[0].encoded())
		return slices.Concat(b[:at], []byte{0x96}, b[at+1:at+n], []byte{0}, b[at+n:])
	})},
	{"statement-more", "a byte follows the statement, inside what is signed", false, recoded(func(b []byte) []byte { return append(b, 0) })},
	{"statement-long-array", "the statement's array has a length that is not in its shortest form", false, recoded(func(b []byte) []byte { return append(longArray(7), b[1:]...) })},
	{"statement-eight-values", "an eighth value in the statement", false, recoded(func(b []byte) []byte { b[0]++; return append(b, 0xc0) })},
	{"issued-signed-integer", "issued is a signed integer, which is as long as the unsigned one", false, func(s *statement) []byte {
		b := s.fields[atIssued]
		return s.with(atIssued, append([]byte{0xd2}, b[1:]...)).sign()
	}},
	{"signature-short", "a signature of 63 bytes", false, func(s *statement) []byte {
		return joined([][]byte{encBin(s.bytes()), encBin(ed25519.Sign(s.root, labelled("keys public identity", s.bytes()))[:63])})
	}},

	{"signing-no-point", "a signing key that no point has", true, keyed("02" + zeroPoint[2:])},
	{"signing-mixed-order", "a signing key with a part of small order", true, key(0, func(k *listedKey) { k.public = mixedOrder(aliceKey) })},
	{"signing-is-root", "the root is the signing key", true, key(0, func(k *listedKey) { k.public = publicOf(castAlice.root()) })},
	{"signing-near-p", "a signing key of y = p - 2, with the sign of x", true, keyed(nearP("eb", "ff"))},
	{"signing-y-0", "a signing key of y = 0, of order 4", false, keyed(zeroPoint)},
	{"signing-y-0-sign", "a signing key of y = 0 with the sign of x, of order 4", false, keyed(zeroPoint[:62] + "80")},
	{"signing-y-1", "a signing key of y = 1, the neutral element", false, keyed(onePoint)},
	{"signing-y-1-sign", "a signing key of y = 1 with the sign of x, which stands for no point", false, keyed(onePoint[:62] + "80")},
	{"signing-y-minus-1-sign", "a signing key of y = -1 with the sign of x, which stands for no point", false, keyed(nearP("ec", "ff"))},
	{"signing-order-8-other", "a signing key of the other y of order 8", false, keyed("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")},
	{"signing-y-p", "a signing key of y = p, which is 0", false, keyed(nearP("ed", "7f"))},
	{"signing-y-p-plus-1", "a signing key of y = p + 1, which is 1", false, keyed(nearP("ee", "7f"))},
	{"signing-y-p-plus-3-sign", "a signing key of y = p + 3, with the sign of x", false, keyed(nearP("f0", "ff"))},
	{"signing-all-ones", "a signing key of y = 2^255 - 1, with the sign of x", false, keyed(nearP("ff", "ff"))},
	{"root-y-1-sign", "a root of y = 1 with the sign of x, under which libraries verify this signature", false, func(s *statement) []byte {
		return joined([][]byte{encBin(s.with(atRoot, encBin(neutralSigned)).bytes()), encBin(append(slices.Clone(neutral), make([]byte, 32)...))})
	}},
	{"x25519-any", "a sealing key whose X25519 half is 2, on the twist", true, uOf("02" + zeroPoint[2:])},
	{"x25519-near-p", "a sealing key whose X25519 half is p - 2", true, uOf(nearP("eb", "7f"))},
	{"x25519-u-0", "a sealing key whose X25519 half is 0", false, uOf(zeroPoint)},
	{"x25519-u-1", "a sealing key whose X25519 half is 1", false, uOf(onePoint)},
	{"x25519-u-minus-1", "a sealing key whose X25519 half is p - 1", false, uOf(nearP("ec", "7f"))},
	{"x25519-order-8-other", "a sealing key whose X25519 half is the other u of order 8", false, uOf("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")},
	{"x25519-u-p-plus-2", "a sealing key whose X25519 half is p + 2", false, uOf(nearP("ef", "7f"))},
	{"ml-kem-modulus-last", "a sealing key whose last coefficient is 3329, the modulus of ML-KEM", false, key(1, func(k *listedKey) {
		k.public[1150], k.public[1151] = k.public[1150]&0x0f|0x10, 0xd0
	})},
	{"ml-kem-largest", "a sealing key whose last coefficient is 3328", true, key(1, func(k *listedKey) {
		k.public[1150], k.public[1151] = k.public[1150]&0x0f, 0xd0
	})},
}

func edgeIdentities(good bool) (all []making) {
	var cases []judgedCase
	for _, c := range statementCases {
		if c.good == good {
			cases = append(cases, judgedCase{"identity-" + c.name, c.comment, of(func() []byte { return c.sealed(castAlice.statement()) })})
		}
	}
	return makingsOf("identity", good, cases)
}

// verifications are of identities at a time, by who expects Alice.
func verifications(good bool) []making {
	issued, expires := unix(castAlice.issued), unix(castAlice.issued)+30*86400
	window := func(from, to uint64) func(s *statement) {
		return func(s *statement) { s.keys[0].from, s.keys[0].to = from, to }
	}
	now := unix(castTime)
	var cases []judgedCase
	for _, c := range []struct {
		name, comment string
		good          bool
		now           uint64
		change        func(s *statement)
	}{
		{"now", "a statement that is current", true, now, nil},
		{"issued-in-300-s", "issued 5 minutes in the future", true, issued - 300, nil},
		{"issued-in-301-s", "issued 5 minutes and a second in the future", false, issued - 301, nil},
		{"last-second", "a second before it expires", true, expires - 1, nil},
		{"expired", "at the moment at which it expires", false, expires, nil},
		{"key-in-300-s", "the primary signing key is valid from 5 minutes in the future", true, now, window(now+300, 0)},
		{"key-in-301-s", "the primary signing key is valid from 5 minutes and a second in the future", false, now, window(now+301, 0)},
		{"key-until-299-s", "the primary signing key was valid until less than 5 minutes ago", true, now, window(now-1000, now-299)},
		{"key-until-300-s", "the primary signing key was valid until 5 minutes ago", false, now, window(now-1000, now-300)},
		{"key-between", "the primary signing key is valid for a minute, from a minute in the future", true, now, window(now+60, now+120)},
		{"other-key-between", "the second signing key is valid, and the primary one is not", false, now, func(s *statement) {
			s.keys = slices.Insert(s.keys, 1, moreSigningKeys(1)...)
			window(now+400, 0)(s)
		}},
		{"revoked", "a revocation", false, now, func(s *statement) { s.with(atSerial, encUint(math.MaxUint64)).keys = nil }},
		{"another-root", "another root than the one expected", false, now, func(s *statement) {
			s.root = castEve.root()
			s.with(atRoot, encBin(publicOf(s.root)))
		}},
	} {
		if c.good != good {
			continue
		}
		cases = append(cases, judgedCase{"verify-" + c.name, c.comment, func() vector {
			s := castAlice.statement()
			if c.change != nil {
				c.change(s)
			}
			return vector{Sealed: s.sign(), judged: judged{Now: int64(c.now), Expected: castAlice.fingerprint()}}
		}})
	}
	return makingsOf("identity", good, cases)
}

// succession is Alice giving way to Carol, with what a case changes.
type succession struct {
	version, issued []byte
	old, next       []byte
	label           string
	more            []byte
	byOld, byNext   ed25519.PrivateKey
	signatures      func(byOld, byNext []byte) [][]byte
}

func (s *succession) sign() []byte {
	statement := slices.Concat(encArray(4), s.version, encBin(s.old), encBin(s.next), s.issued, s.more)
	message := labelled(s.label, statement)
	sigs := [][]byte{ed25519.Sign(s.byOld, message), ed25519.Sign(s.byNext, message)}
	if s.signatures != nil {
		sigs = s.signatures(sigs[0], sigs[1])
	}
	return joined([][]byte{encBin(statement), encBin(sigs[0]), encBin(sigs[1])})
}

var trivial = append(slices.Clone(neutral), make([]byte, 32)...)

func successions(good bool) []making {
	var cases []judgedCase
	for _, c := range []struct {
		name, comment string
		good          bool
		change        func(s *succession)
	}{
		{"example", "one root gives way to another", true, func(*succession) {}},
		{"issued-0", "issued in 1970", true, func(s *succession) { s.issued = encUint(0) }},
		{"issued-last", "issued at 2^40 - 1", true, func(s *succession) { s.issued = encUint(1<<40 - 1) }},
		{"issued-beyond", "issued at 2^40", false, func(s *succession) { s.issued = encUint(1 << 40) }},
		{"issued-signed-integer", "issued is a signed integer", false, func(s *succession) { s.issued[0] = 0xd2 }},
		{"itself", "a root gives way to itself", false, func(s *succession) { s.next, s.byNext = s.old, s.byOld }},
		{"version-2", "version 2", false, func(s *succession) { s.version = encUint(2) }},
		{"more", "a byte follows the statement, inside what is signed", false, func(s *succession) { s.more = []byte{0} }},
		{"other-purpose", "signed for another purpose", false, func(s *succession) { s.label = "keys public identity" }},
		{"old-does-not-sign", "somebody else signs for the old root", false, func(s *succession) { s.byOld = castEve.root() }},
		{"next-does-not-sign", "somebody else signs for the next root", false, func(s *succession) { s.byNext = castEve.root() }},
		{"swapped", "the signatures stand in each other's place", false, func(s *succession) {
			s.signatures = func(a, b []byte) [][]byte { return [][]byte{b, a} }
		}},
		{"malleable", "a signature with its S plus the order of the group", false, func(s *succession) {
			s.signatures = func(a, b []byte) [][]byte { return [][]byte{a, plusOrder(b)} }
		}},
		{"old-neutral", "the old root is the neutral element, for which anybody signs", false, func(s *succession) {
			s.old = neutral
			s.signatures = func(_, b []byte) [][]byte { return [][]byte{trivial, b} }
		}},
		{"old-neutral-sign", "the same with the sign of x", false, func(s *succession) {
			s.old = neutralSigned
			s.signatures = func(_, b []byte) [][]byte { return [][]byte{trivial, b} }
		}},
	} {
		if c.good != good {
			continue
		}
		cases = append(cases, judgedCase{"succession-" + c.name, c.comment, of(func() []byte {
			s := &succession{version: encUint(1), issued: encUint(unix(castTime)), old: publicOf(castAlice.root()), next: publicOf(castCarol.root()),
				label: "keys succession", byOld: castAlice.root(), byNext: castCarol.root()}
			c.change(s)
			return s.sign()
		})})
	}
	return makingsOf("succession", good, cases)
}

// vouching is Alice, the authority, vouching for Bob, with what a case changes.
type vouching struct {
	version              []byte
	authority            *statement
	by                   ed25519.PrivateKey
	fingerprint, keyID   []byte
	address, room        string
	role, issued, expiry uint64
	root                 []byte
	label                string
	more                 []byte
	signature            func(b []byte) []byte
	judged               judged
}

func (v *vouching) sign() []byte {
	statement := slices.Concat(encArray(9), v.version, encBin(v.fingerprint), encBin(v.keyID), encStr(v.address), encStr(v.room),
		encUint(v.role), encBin(v.root), encUint(v.issued), encUint(v.expiry), v.more)
	return joined([][]byte{encBin(statement), encBin(v.signature(ed25519.Sign(v.by, labelled(v.label, statement))))})
}

func newVouching() *vouching {
	at := unix(castTime)
	v := &vouching{version: encUint(1), authority: aliceLater.statement(), by: aliceLater.signer(), fingerprint: castAlice.fingerprint(),
		address: "wss://chat.example/", role: 1, issued: at + 2*86400, expiry: at + 9*86400, root: castBob.fingerprint(), label: "keys voucher",
		signature: func(b []byte) []byte { return b }}
	v.keyID = signingID(publicOf(v.by))
	v.judged = judged{Now: int64(at) + 3*86400, Address: v.address, Role: 1, Vouched: castBob.statement().sign()}
	return v
}

func (v *vouching) signedBy(name string, at time.Time) {
	v.by = signingKeyOf(name)
	v.keyID, v.issued = signingID(publicOf(v.by)), unix(at)
}

func vouchers(good bool) []making {
	var cases []judgedCase
	for _, c := range voucherCases {
		if c.good != good {
			continue
		}
		cases = append(cases, judgedCase{"voucher-" + c.name, c.comment, func() vector {
			v := newVouching()
			c.change(v)
			return vector{Sealed: v.sign(), From: v.authority.sign(), judged: v.judged}
		}})
	}
	return makingsOf("voucher", good, cases)
}

var voucherCases = []struct {
	name, comment string
	good          bool
	change        func(v *vouching)
}{
	{"example", "for a server at an address", true, func(*vouching) {}},
	{"room", "for a member of a room", true, func(v *vouching) {
		v.address, v.room, v.role = "", "planning \u2615", 3
		v.judged.Address, v.judged.Room, v.judged.Role = "", v.room, 3
	}},
	{"clients", "for a client of any server", true, func(v *vouching) {
		v.address, v.role = "", 2
		v.judged.Address, v.judged.Role = "", 2
	}},
	{"role-none", "for no role, where none is expected", true, func(v *vouching) { v.role, v.judged.Role = 0, 0 }},
	{"longest", "an address and a room of 1,024 bytes", true, func(v *vouching) {
		v.address, v.room = strings.Repeat("a", 1024), twoByte(512)
		v.judged.Address, v.judged.Room = v.address, v.room
	}},
	{"retired-key", "signed in its time by a key that has retired", true, func(v *vouching) { v.signedBy("alice signing 1", day(0.5)) }},
	{"first-moment", "issued at the first moment of the key", true, func(v *vouching) { v.signedBy("alice signing 2", day(1).Add(-time.Minute)) }},
	{"last-moment", "issued in the last second of the key", true, func(v *vouching) { v.signedBy("alice signing 1", day(1).Add(599*time.Second)) }},
	{"issued-in-300-s", "issued 5 minutes in the future", true, func(v *vouching) { v.judged.Now = int64(v.issued) - 300 }},
	{"last-second", "a second before it expires", true, func(v *vouching) { v.expiry = uint64(v.judged.Now) + 1 }},
	{"expires-last", "expires at 2^40 - 1", true, func(v *vouching) { v.expiry = 1<<40 - 1 }},
	{"authority-expired", "the authority's statement has expired", true, func(v *vouching) {
		v.authority.with(atIssued, encUint(unix(day(1)))).with(atExpires, encUint(unix(day(2.5))))
	}},
	{"issued-in-301-s", "issued 5 minutes and a second in the future", false, func(v *vouching) { v.judged.Now = int64(v.issued) - 301 }},
	{"expired", "at the moment at which it expires", false, func(v *vouching) { v.expiry = uint64(v.judged.Now) }},
	{"expires-beyond", "expires at 2^40", false, func(v *vouching) { v.expiry = 1 << 40 }},
	{"expires-when-issued", "expires when it was issued", false, func(v *vouching) {
		v.issued = uint64(v.judged.Now) + 100
		v.expiry = v.issued
	}},
	{"role-4", "for a role that there is not", false, func(v *vouching) { v.role = 4 }},
	{"role-none-for-any", "for no role, where a server is expected", false, func(v *vouching) { v.role = 0 }},
	{"other-role", "for a server, where a client is expected", false, func(v *vouching) { v.judged.Role = 2 }},
	{"other-address", "for another address", false, func(v *vouching) { v.judged.Address = "wss://chat.example" }},
	{"other-room", "for no room, where one is expected", false, func(v *vouching) { v.judged.Room = "planning" }},
	{"other-root", "for another root", false, func(v *vouching) { v.root = castCarol.fingerprint() }},
	{"other-authority", "names another authority, and is signed by a key of this one", false, func(v *vouching) { v.fingerprint = castEve.fingerprint() }},
	{"by-another", "somebody else signs under the authority's name", false, func(v *vouching) { v.by = castEve.signer() }},
	{"by-root", "the authority's root signs, which is not a signing key", false, func(v *vouching) {
		v.by = castAlice.root()
		v.keyID = signingID(publicOf(v.by))
	}},
	{"too-early", "issued a second before the key is valid", false, func(v *vouching) { v.signedBy("alice signing 2", day(1).Add(-61*time.Second)) }},
	{"too-late", "issued when the key is not valid any more", false, func(v *vouching) { v.signedBy("alice signing 1", day(1).Add(600*time.Second)) }},
	{"authority-revoked", "the authority has been revoked", false, func(v *vouching) {
		v.authority.with(atSerial, encUint(math.MaxUint64)).keys = nil
	}},
	{"version-2", "version 2", false, func(v *vouching) { v.version = encUint(2) }},
	{"version-long", "the version is not in its shortest form", false, func(v *vouching) { v.version = longUint(1) }},
	{"more", "a byte follows the statement, inside what is signed", false, func(v *vouching) { v.more = []byte{0} }},
	{"other-purpose", "signed for another purpose", false, func(v *vouching) { v.label = "keys succession" }},
	{"malleable", "the signature with its S plus the order of the group", false, func(v *vouching) { v.signature = plusOrder }},
	{"address-too-long", "an address of 1,025 bytes", false, func(v *vouching) {
		v.address = strings.Repeat("a", 1025)
		v.judged.Address = v.address
	}},
	{"room-characters", "a room of 513 characters and 1,026 bytes", false, func(v *vouching) {
		v.room = twoByte(513)
		v.judged.Room = v.room
	}},
	{"address-not-utf8", "an address that is not UTF-8", false, func(v *vouching) { v.address = "\xff" }},
}
