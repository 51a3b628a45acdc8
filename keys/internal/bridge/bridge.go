// Package bridge lets the packages under keys do what no other package may: change the state of an
// identity, of a shared keyset or of a list of known peers. The public types have no exported
// methods for that.
//
// Packages keys and keys/trust offer their functions in init. Packages keys/trust, keys/keyio and
// keys/keystore take them. The type parameters stand for *keys.Identity and so on: this package
// cannot name these types, since keys imports it.
package bridge

import (
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

var offered []any

// Offer makes functions available to Take. Call it in init.
func Offer(functions any) { offered = append(offered, functions) }

// Take returns the functions of that type that were offered. The package that offers them must have
// been imported.
func Take[F any]() F {
	for _, o := range offered {
		if f, ok := o.(F); ok {
			return f
		}
	}
	panic("keys: this build has no key stores") // it is one for browsers
}

// Identities are the functions for identities.
//
// The state of an identity never changes: a step makes another one, which a store writes before
// anybody uses it. Functions hand over such a state in an identity of its own that nobody else has.
type Identities[I any] struct {
	Copy func(id I) I              // an identity with the state that id has now
	Same func(a, b I) bool         // whether both have the same state, by address
	Move func(id, from, to I) bool // gives id the state of to, if it still has that of from

	// Follow gives id the state of to. It keeps Signers that were attached to id and still fit.
	Follow func(id, to I)

	Rings   func(id I) (signing, sealing ring.Ring) // signing is zero where an external Signer signs
	Renewed func(id I, now time.Time) (I, error)    // with a new statement
	Revoked func(id I, now time.Time) (I, error)    // withdrawn for good
	Changed func(id I, sealing bool, now time.Time, change func(ring.Ring) (ring.Ring, error)) (I, error)
}

// SharedKeysets are the functions for shared keysets. They hand over states as [Identities] does.
type SharedKeysets[S any] struct {
	Copy func(s S) S
	Same func(a, b S) bool
	Move func(s, to S) // gives s the state of to

	Append func(dst []byte, s S) ([]byte, error) // as it stands in a store
	Parse  func(r *strict.Reader) (S, error)

	Rings func(s S) (aeads, macs ring.Ring)

	// Changed makes the same change to both rings. Change gets each ring with the Tink id that the
	// key has in it.
	Changed func(s S, tinkID uint32, change func(r ring.Ring, tinkID uint32) (ring.Ring, error)) (S, error)

	// Updated returns the state of to. Pairs that s holds too keep the counts that they have in s.
	Updated func(s, to S) (S, error)

	// Counted returns s with pairs whose AES256_GCM messages the ledger counts.
	Counted func(s S, l Ledger) S

	Reserved     func(s S, id [32]byte) (messages uint64, held bool)
	WithReserved func(s S, id [32]byte, messages uint64) S
	Spent        func(s S, messages uint64) S       // with that number reserved for every pair
	Used         func(s S) (messages, bytes uint64) // by the primary, since it was loaded
	Uncounted    error                              // the error of a pair without a ledger
}

// A Ledger raises the room of a pair to n messages or more, after it has written that to disk.
type Ledger func(id [32]byte, room *atomic.Uint64, n uint64) error

// MaxSealed is how many messages an AES256_GCM key seals in its life.
const MaxSealed = 1 << 30

// KnownPeers are the functions for lists of known peers.
type KnownPeers[K any] struct {
	// Persist makes k give each change to write before the change takes effect. Write reports whether
	// the change is stored.
	Persist func(k K, write func([]byte) (done bool, err error))

	// Replace gives k the contents of to, and keeps what k has learned itself. It reports whether
	// somebody is not trusted any more. The caller then calls Tell, without locks.
	Replace func(k, to K) (tell bool)
	Tell    func(k K)
}

// MaxName is the longest address or name of a room in a list of known peers, in bytes.
const MaxName = 1024
