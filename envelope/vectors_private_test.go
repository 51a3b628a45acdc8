package envelope

import (
	"math"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
)

// Vectors of the private halves, section 2.4: above all, what times a ring may tell.

// privateIdentity is Alice after rotations, with what a case changes. A ring is encoded
// unless it is nil.
type privateIdentity struct {
	version, seed    []byte
	signing, sealing []aged
	statement        *statement
	recode           func(ring []byte) []byte // of the signing ring
}

func (p *privateIdentity) encoded() []byte {
	signing := encNil()
	if p.signing != nil {
		signing = p.recode(encodedRing(keyset.Ed25519, p.signing, testSecret))
	}
	return slices.Concat(encArray(5), p.version, p.seed, signing, encodedRing(keyset.XWing, p.sealing, testSecret), encBin(p.statement.sign()))
}

func newPrivate() *privateIdentity {
	return &privateIdentity{
		version: encUint(1), seed: encBin(aliceLater.root().Seed()), signing: slices.Clone(aliceLater.signing), sealing: slices.Clone(aliceLater.sealing),
		statement: aliceLater.statement(), recode: func(ring []byte) []byte { return ring },
	}
}

// pendingTimes has the times of the signing key that is pending replaced.
func pendingTimes(created, promoted, retired, archived time.Time) func(p *privateIdentity) {
	return func(p *privateIdentity) {
		p.signing[2] = aged{"alice signing 3", created, promoted, retired, archived}
	}
}

// otherTimes has a keyset stay, and the times tell of other states than it does.
func otherTimes(change func(ring []aged) []aged) func(p *privateIdentity) {
	return func(p *privateIdentity) {
		p.recode = func(ring []byte) []byte {
			n := len(ring) - len(livesOf(p.signing))
			return append(ring[:n:n], livesOf(change(slices.Clone(p.signing)))...)
		}
	}
}

// never is no time.
var never time.Time

// at is a number of seconds since 1970.
func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

func privates(good bool) []making {
	return slices.Concat(privateIdentities(good), sharedKeysets(good))
}

func privateIdentities(good bool) []making {
	var cases []judgedCase
	for _, c := range []struct {
		name, comment string
		good          bool
		change        func(p *privateIdentity)
	}{
		{"example", "a primary, a pending and a retired signing key", true, func(*privateIdentity) {}},
		{"archived-unused", "a pending key that was archived unused: promoted, retired and archived at one time", true, pendingTimes(day(2), day(3), day(3), day(3))},
		{"archived", "a key with four times", true, pendingTimes(day(0), day(0.1), day(0.2), day(0.3))},
		{"all-at-once", "a key with four times that are equal", true, pendingTimes(day(0), day(0), day(0), day(0))},
		{"last-times", "a key of 2^40 - 1", true, pendingTimes(at(1<<40-1), at(1<<40-1), at(1<<40-1), at(1<<40-1))},
		{"detached", "root and signing keys are kept elsewhere", true, func(p *privateIdentity) { p.seed, p.signing = encNil(), nil }},
		{"revoked", "a revoked identity keeps its keys", true, func(p *privateIdentity) {
			p.statement.with(atSerial, encUint(math.MaxUint64)).keys = nil
		}},
		{"archived-only", "a key that was archived, and neither promoted nor retired", false, pendingTimes(day(2), never, never, day(3))},
		{"archived-not-retired", "a key that was promoted and archived, and not retired", false, func(p *privateIdentity) {
			pendingTimes(day(2), day(2), day(3), day(3))(p)
			otherTimes(func(ring []aged) []aged { ring[2].retired = never; return ring })(p)
		}},
		{"retired-not-promoted", "a key that was retired and not promoted", false, pendingTimes(day(2), never, day(3), never)},
		{"promoted-before", "a key that was promoted before it was made", false, pendingTimes(day(2), day(1), day(3), never)},
		{"archived-before", "a key that was archived before it retired", false, pendingTimes(day(0), day(1), day(2), day(1.5))},
		{"created-0", "a key without a time at which it was made", false, pendingTimes(at(0), never, never, never)},
		{"created-beyond", "a key that was made at 2^40", false, pendingTimes(at(1<<40), never, never, never)},
		{"archived-beyond", "a key that was archived at 2^40", false, pendingTimes(day(0), day(0), day(0), at(1<<40))},
		{"two-primaries", "two keys that were promoted and not retired", false, pendingTimes(day(0), day(0.5), never, never)},
		{"no-primary", "no key that was promoted and not retired", false, otherTimes(func(ring []aged) []aged {
			ring[1].retired = day(2)
			return ring
		})},
		{"other-order", "times in another order than the keys'", false, otherTimes(func(ring []aged) []aged {
			slices.Reverse(ring)
			return ring
		})},
		{"time-missing", "a key without its times", false, otherTimes(func(ring []aged) []aged { return ring[:2] })},
		{"status", "an archived key that its keyset has enabled", false, otherTimes(func(ring []aged) []aged {
			ring[0].archived = day(2)
			return ring
		})},
		{"version-2", "version 2", false, func(p *privateIdentity) { p.version = encUint(2) }},
		{"other-root", "the root of another identity", false, func(p *privateIdentity) { p.seed = encBin(castEve.root().Seed()) }},
		{"other-statement", "the statement of another identity, and no root", false, func(p *privateIdentity) {
			p.seed, p.statement = encNil(), castEve.statement()
		}},
		{"statement-before", "a statement whose primary signing key has retired", false, func(p *privateIdentity) {
			slices.Reverse(p.statement.keys[:3])
		}},
	} {
		if c.good != good {
			continue
		}
		cases = append(cases, judgedCase{"private-" + c.name, c.comment, of(func() []byte {
			p := newPrivate()
			c.change(p)
			return p.encoded()
		})})
	}
	return makingsOf("private identity", good, cases)
}

// sharedKeysets have two rings whose times are equal.
func sharedKeysets(good bool) []making {
	var cases []judgedCase
	add := func(ok bool, name, comment string, sealed func() []byte) {
		if ok == good {
			cases = append(cases, judgedCase{"keyset-" + name, comment, of(sealed)})
		}
	}
	unused := []aged{primarySince("shared 1", day(-1)), {"shared 2", day(0), day(1), day(1), day(1)}}
	add(true, "example", "a primary and a retired pair", sharedLater.cleartext)
	add(true, "archived-unused", "a pending pair that was archived unused", pairs{xaesKind, unused}.cleartext)
	add(true, "aes", "a pair of AES256_GCM, which has a count", sharedAES.cleartext)
	add(true, "aes-full", "a pair of AES256_GCM with 2^30 messages", aesReserving(1<<30))
	add(false, "aes-too-many", "a pair of AES256_GCM with 2^30 messages and one more", aesReserving(1<<30+1))
	add(false, "aes-no-counts", "a keyset of version 2 without counts", func() []byte {
		b := sharedAES.cleartext()
		return append([]byte{0x93}, b[1:len(b)-2]...)
	})
	add(false, "xaes-version-2", "a keyset of version 2 with XAES-256-GCM", func() []byte {
		b := sharedNow.cleartext()
		return slices.Concat([]byte{0x94, 2}, b[2:], []byte{0x91, 0})
	})
	add(false, "rings-apart", "the second key of a pair retired at another time", func() []byte {
		other := slices.Clone(sharedLater.ring)
		other[0].retired = day(1).Add(time.Second)
		return keysetOf(sharedLater.ring, other)
	})
	add(false, "rings-of-two-lengths", "a pair without its second key", func() []byte { return keysetOf(sharedLater.ring, sharedLater.ring[1:]) })
	return makingsOf("shared keyset", good, cases)
}

func keysetOf(aeads, macs []aged) []byte {
	return slices.Concat(encArray(3), encUint(1),
		encodedRing(keyset.XAESGCM, aeads, func(name string) []byte { return pairOf(xaesKind, name).aead }),
		encodedRing(keyset.HMAC, macs, func(name string) []byte { return pairOf(xaesKind, name).mac }))
}

func aesReserving(n uint64) func() []byte {
	return func() []byte {
		b := sharedAES.cleartext()
		return append(b[:len(b)-1:len(b)-1], encUint(n)...)
	}
}
