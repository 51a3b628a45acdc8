package envelope

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// Who appears in the vectors. Every secret is the hash of a text, so that nobody
// takes one for a key to use, and that vectors stay as they are when others are
// added.

// castTime is when messages are sealed.
var castTime = time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC)

func day(n float64) time.Time { return castTime.Add(time.Duration(n * float64(24*time.Hour))) }

func testSecret(name string) []byte {
	sum := sha256.Sum256([]byte("hopseal test vectors: " + name))
	return sum[:]
}

func signingKeyOf(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(testSecret(name)) }

func publicOf(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

func sealingPublic(seed []byte) []byte {
	return made(hpke.MLKEM768X25519().NewPrivateKey(seed)).PublicKey().Bytes()
}

// The names of section 2.
func sha(b []byte) []byte              { sum := sha256.Sum256(b); return sum[:] }
func fingerprintBy(root []byte) []byte { return sha(labelled("keys fingerprint", root)) }
func signingID(public []byte) []byte   { return sha(labelled("keys signing key id", []byte{1}, public)) }
func sealingID(public []byte) []byte   { return sha(labelled("keys sealing key id", []byte{2}, public)) }

// aged is a key with the times at which its stages began, zero for not yet.
type aged struct {
	name                                 string
	created, promoted, retired, archived time.Time
}

func primarySince(name string, t time.Time) aged { return aged{name: name, created: t, promoted: t} }

func (k aged) tinkID() uint32 { return binary.BigEndian.Uint32(testSecret("tink id " + k.name)) }

func (k aged) times() []time.Time { return []time.Time{k.created, k.promoted, k.retired, k.archived} }

func (k aged) primary() bool { return !k.promoted.IsZero() && k.retired.IsZero() }

func unix(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

// encodedRing is a ring of section 2.4.
func encodedRing(kind keyset.Type, ring []aged, secret func(name string) []byte) []byte {
	var set keyset.Keyset
	for _, k := range ring {
		key := keyset.Key{ID: k.tinkID(), Type: kind, Status: keyset.Enabled, Prefix: keyset.PrefixTink, Secret: secret(k.name)}
		key.Public = made(keyset.PublicOf(kind, key.Secret))
		if !k.archived.IsZero() {
			key.Status = keyset.Disabled
		}
		if k.primary() {
			set.Primary = key.ID
		}
		set.Keys = append(set.Keys, key)
	}
	return slices.Concat(encArray(2), encBin(made(set.Append(nil))), livesOf(ring))
}

// livesOf are the times of a ring's keys.
func livesOf(ring []aged) []byte {
	b := encArray(len(ring))
	for _, k := range ring {
		b = append(append(b, encArray(5)...), encUint(uint64(k.tinkID()))...)
		for _, t := range k.times() {
			b = append(b, encUint(unix(t))...)
		}
	}
	return b
}

// A person has an identity at one moment.
type person struct {
	name             string
	serial           uint64
	issued           time.Time
	signing, sealing []aged
}

func newcomer(name string) person {
	since := day(-1)
	return person{name, 1, since, []aged{primarySince(name+" signing 1", since)}, []aged{primarySince(name+" sealing 1", since)}}
}

func (p person) root() ed25519.PrivateKey { return signingKeyOf(p.name + " root") }
func (p person) fingerprint() []byte      { return fingerprintBy(publicOf(p.root())) }
func (p person) addressee() addressee {
	return addressee{fingerprint: p.fingerprint(), public: sealingPublic(testSecret(primaryOf(p.sealing)))}
}
func (p person) signer() ed25519.PrivateKey { return signingKeyOf(primaryOf(p.signing)) }

func primaryOf(ring []aged) string {
	return ring[slices.IndexFunc(ring, aged.primary)].name
}

// listedKey is one key of a statement, section 2.1.
type listedKey struct {
	use, kind uint64
	public    []byte
	from, to  uint64
}

func (k listedKey) encoded() []byte {
	return slices.Concat(encArray(5), encUint(k.use), encUint(k.kind), encBin(k.public), encUint(k.from), encUint(k.to))
}

// listed returns the primary, pending and retired signing keys, and the primary
// sealing key.
func (p person) listed() []listedKey {
	var primary, pending, past []listedKey
	for _, k := range p.signing {
		l := listedKey{1, 1, publicOf(signingKeyOf(k.name)), unix(k.created) - 60, 0}
		switch {
		case k.primary():
			primary = append(primary, l)
		case k.promoted.IsZero():
			pending = append(pending, l)
		default:
			l.to = unix(k.retired) + 600
			past = append([]listedKey{l}, past...)
		}
	}
	i := slices.IndexFunc(p.sealing, aged.primary)
	seal := listedKey{2, 2, sealingPublic(testSecret(p.sealing[i].name)), unix(p.sealing[i].created) - 60, 0}
	return slices.Concat(primary, pending, past, []listedKey{seal})
}

// A statement is what a root signs, with fields that a case may change.
type statement struct {
	fields [][]byte // version, name, root, serial, issued, expires, encoded
	keys   []listedKey
	root   ed25519.PrivateKey
}

const (
	atVersion = iota
	atName
	atRoot
	atSerial
	atIssued
	atExpires
)

func (p person) statement() *statement {
	return &statement{[][]byte{
		encUint(1), encStr(p.name), encBin(publicOf(p.root())), encUint(p.serial),
		encUint(unix(p.issued)), encUint(unix(p.issued.Add(30 * 24 * time.Hour))),
	}, p.listed(), p.root()}
}

func (s *statement) with(at int, encoded []byte) *statement {
	s.fields[at] = encoded
	return s
}

func (s *statement) bytes() []byte {
	b := slices.Concat(encArray(len(s.fields)+1), slices.Concat(s.fields...), encArray(len(s.keys)))
	for _, k := range s.keys {
		b = append(b, k.encoded()...)
	}
	return b
}

func (s *statement) sign() []byte { return signStatement(s.bytes(), s.root) }

func signStatement(statement []byte, root ed25519.PrivateKey) []byte {
	return slices.Concat(encArray(2), encBin(statement), encBin(ed25519.Sign(root, labelled("keys public identity", statement))))
}

// cleartext is the identity in the form of section 2.4.
func (p person) cleartext() []byte {
	return slices.Concat(encArray(5), encUint(1), encBin(p.root().Seed()),
		encodedRing(keyset.Ed25519, p.signing, testSecret), encodedRing(keyset.XWing, p.sealing, testSecret),
		encBin(p.statement().sign()))
}

func (p person) identity() *keys.Identity {
	return made(keys.ParseCleartextIdentity(p.cleartext(), insecurecleartext.Token{}))
}

func (p person) public() *keys.PublicIdentity { return made(keys.ParsePublic(p.statement().sign())) }

// A pair is an entry of a shared keyset.
type pair struct {
	kind      string // Tink's name of the first key's type
	aead, mac []byte
}

// The types of a pair's first key, as Tink calls them.
const (
	xaesKind = "X_AES_GCM"
	aesKind  = "AES256_GCM"
)

func pairOf(kind, name string) pair {
	return pair{kind, testSecret(name + " aead"), testSecret(name + " mac")}
}

// id is the shared key id, section 2.
func (p pair) id() []byte {
	types := map[string]string{xaesKind: "XAesGcmKey salt 12\x00", aesKind: "AesGcmKey 32\x00"}[p.kind]
	info := labelled("keys shared key id", []byte(types), []byte("HmacKey SHA256 32\x00"))
	return hkdf32(slices.Concat(p.aead, p.mac), nil, info)
}

func (p pair) seal(plaintext, aad []byte) []byte {
	if p.kind == aesKind {
		return gcmSeal(p.aead, plaintext, aad)
	}
	return xaesSeal(p.aead, plaintext, aad)
}

// pairs is a shared keyset at one moment.
type pairs struct {
	kind string
	ring []aged
}

func (s pairs) pair(k aged) pair { return pairOf(s.kind, k.name) }

// cleartext is the keyset in the form of section 2.4.
func (s pairs) cleartext() []byte {
	version, kind, reserved := 1, keyset.XAESGCM, []byte(nil)
	if s.kind == aesKind {
		version, kind, reserved = 2, keyset.AESGCM, slices.Concat(encArray(len(s.ring)), make([]byte, len(s.ring)))
	}
	return slices.Concat(encArray(version+2), encUint(uint64(version)),
		encodedRing(kind, s.ring, func(name string) []byte { return pairOf(s.kind, name).aead }),
		encodedRing(keyset.HMAC, s.ring, func(name string) []byte { return pairOf(s.kind, name).mac }), reserved)
}

func (s pairs) keyset() *keys.SharedKeyset {
	return made(keys.ParseCleartextSharedKeyset(s.cleartext(), insecurecleartext.Token{}))
}

// The cast: Alice seals, Bob opens, Carol also gets messages, Eve does not. The
// later ones are the same after rotations.
var (
	castAlice, castBob, castCarol, castEve = newcomer("alice"), newcomer("bob"), newcomer("carol"), newcomer("eve")

	aliceLater = person{"alice", 2, day(2), []aged{
		{"alice signing 1", day(-1), day(-1), day(1), time.Time{}},
		primarySince("alice signing 2", day(1)),
		{name: "alice signing 3", created: day(2)},
	}, castAlice.sealing}
	bobLater = person{"bob", 2, day(2), castBob.signing, []aged{
		{"bob sealing 1", day(-1), day(-1), day(1), time.Time{}},
		primarySince("bob sealing 2", day(1)),
	}}
	bobMuchLater = person{"bob", 3, day(4), castBob.signing, []aged{
		{"bob sealing 1", day(-1), day(-1), day(1), day(3)},
		primarySince("bob sealing 2", day(1)),
	}}

	sharedNow   = pairs{xaesKind, []aged{primarySince("shared 1", day(-1))}}
	sharedLater = pairs{xaesKind, []aged{
		{"shared 1", day(-1), day(-1), day(1), time.Time{}},
		primarySince("shared 2", day(1)),
	}}
	sharedMuchLater = pairs{xaesKind, []aged{
		{"shared 1", day(-1), day(-1), day(1), day(3)},
		primarySince("shared 2", day(1)),
	}}
	// The same key bytes, for another use: nothing may pass from one to the other.
	sharedAES = pairs{aesKind, []aged{primarySince("shared 1", day(-1))}}
)
