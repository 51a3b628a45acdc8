package keystore

import (
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// A RotationPolicy says when keys take the next step of their life. A field that is zero never causes
// a step; Lead and Overlap are times, and zero means none. Whatever the policy, an AES256_GCM primary
// gets a successor when half of its messages are used up, see [keys.ErrSealLimit]. A retired sealing
// key is accepted until the last statement that listed it has expired, and Overlap longer.
type RotationPolicy struct {
	Age      time.Duration // of a primary, before another one is made, a minute at least; below 12 hours see [RotationPolicy.SignatureLife]
	Messages uint64        // sealed by a shared primary since it was loaded, or in all by AES256_GCM, before another one is made
	Bytes    uint64        // sealed by a shared primary since it was loaded, before another one is made

	Lead    time.Duration // from making a key to promoting it: time to distribute it
	Overlap time.Duration // from when nobody seals with a key any more to archiving it: time for what is in transit
	Keep    time.Duration // from archiving a key to destroying it; zero keeps it

	// Follow names the shared keysets that another holder rotates and hands over, see
	// [Store.UpdateSharedKeyset]. The policy leaves them alone.
	Follow []string

	// NoRequests makes [Store.Run] take no requests from [Client]s. Tests that run a store in a
	// bubble of testing/synctest set it: time stands still there while somebody listens.
	NoRequests bool

	// Logger gets what [Store.Run] logs: what failed, and keysets that will be full. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// DefaultRotation changes keys every 30 days, with a day to distribute a new one and two days for
// what is in transit. It destroys archived keys after a year. Whoever needs what was sealed to them
// for longer opens it before that, and keeps it in another way. A Keep of zero never destroys them. A
// sealing or shared keyset is then full after 511 changes and keeps its last key, see [KeysetFullError].
var DefaultRotation = RotationPolicy{
	Age: 30 * 24 * time.Hour, Messages: 1 << 30, Lead: 24 * time.Hour, Overlap: 48 * time.Hour, Keep: 365 * 24 * time.Hour,
}

// accepted returns until when a retired key is accepted: Overlap longer than peers may seal to it, both
// by the wall clock and by the time that was measured.
func (p RotationPolicy) accepted(k agedKey) time.Time {
	end := k.since.Add(max(k.listed.Sub(k.Retired), 0))
	if end.Before(k.listed) {
		end = k.listed
	}
	return end.Add(p.Overlap)
}

// leastAge is the smallest Age that has an effect. With an Age below a second each new key would be too
// old at once, and a rotation would make one key after the other.
const leastAge = time.Minute

// agedKey is a key with the times that the store's tally has for it.
type agedKey struct {
	keys.KeyInfo
	since  time.Time // when its stage began, see tally
	listed time.Time // see [Store.ListedUntil]
}

// SignatureLife returns for how long the identity's newest statement verifies what the identity has
// signed: [keys.MaxLifetime], or less if signing keys change more often than twice a day, since a
// statement lists 63 of them. A message that waits for longer than that does not open any more.
func (p RotationPolicy) SignatureLife() time.Duration {
	const past = ring.MaxSigning - 1 - 2 // beside a sealing key, the primary and the next
	if p.Age <= 0 || max(p.Age, p.Lead) >= keys.MaxLifetime/past {
		return keys.MaxLifetime
	}
	return past * max(p.Age, p.Lead)
}

// lasting returns how many keys made from now on exist at the same time.
func (p RotationPolicy) lasting(ref KeyRef) int {
	if p.Keep <= 0 {
		return ring.Capacity
	}
	listed := time.Duration(0)
	if ref.Use == keys.UseSealing {
		listed = keys.MaxLifetime
	}
	return int((p.Lead+listed+p.Overlap+p.Keep)/p.Age) + 2
}

// full returns the error for a key that is due in a keyset of these keys.
func full(ref KeyRef, infos []agedKey, due time.Time) *KeysetFullError {
	ref.TinkID = 0
	for _, k := range infos {
		if k.Stage == keys.StageArchived {
			ref.TinkID = k.TinkID
			break
		}
	}
	return &KeysetFullError{ref, due}
}

// isFull reports whether a keyset has no room for another key.
func isFull(ref KeyRef, infos []agedKey) bool {
	return ref.Use != keys.UseSigning && len(infos) >= ring.Capacity
}
