package trust

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hopseal/hopseal/internal/pagestore"
	"github.com/hopseal/hopseal/keys"
)

// ErrKnownPeers is returned for bytes that are not a list of known peers.
var ErrKnownPeers = errors.New("keys: not a valid list of known peers")

// KnownPeers trusts the identities that the user admitted. It trusts each in the role and for the
// address or room for which the user admitted it, and never for the name that it gives itself. A
// dialled address has one identity; a room has many members, and a server has many clients.
//
// KnownPeers remembers the newest statement, a revocation and a successor of every root that was ever
// admitted, even after the admission is gone. So neither an older statement nor a withdrawn root
// comes back. [KnownPeers.Revoke] withdraws a root even before anything else is known of it.
//
// The zero KnownPeers knows nobody. It is safe for concurrent use; it must not be
// copied.
type KnownPeers struct {
	changing  sync.Mutex               // held while a change is made, which may wait for a disk
	known     atomic.Pointer[snapshot] // what it points to never changes; nil for nothing
	listeners listeners

	// persist, if not nil, stores the encoded list before a change takes effect. It reports whether
	// the list is stored.
	persist func([]byte) (done bool, err error)
}

// Level says how a known peer came to be known.
type Level byte

const (
	FirstUse  Level = iota + 1 // it answered first, see [KnownPeers.TrustOnFirstUse]
	Succeeded                  // a peer that was known named it as its successor
	Verified                   // a person compared the fingerprint
)

func (l Level) String() string {
	switch l {
	case FirstUse:
		return "first use"
	case Succeeded:
		return "succeeded"
	case Verified:
		return "verified"
	}
	return fmt.Sprintf("trust.Level(%d)", l)
}

// Verify returns nil for a peer that was admitted for this address or room. It remembers the newest
// statement of the peer's root, and the revocation of a root that it knows. It refuses a revocation
// of any other root and does not remember it, since a stranger can make any number of them: see
// [KnownPeers.Revoke].
func (k *KnownPeers) Verify(_ context.Context, want Expected, got *keys.PublicIdentity) error {
	if k == nil {
		return stranger(want, got)
	}
	return k.learn(want, got, func(next *snapshot) error { return next.recognise(want, got) })
}

// Admit records that a person compared the fingerprint and means this identity by this address or
// room. At an address the identity replaces the one before.
func (k *KnownPeers) Admit(want Expected, got *keys.PublicIdentity) error {
	return k.learn(want, got, func(next *snapshot) error { return next.admit(want, got, Verified) })
}

// TrustOnFirstUse returns a Verifier that admits whoever answers first at an address, and then
// decides as KnownPeers does. It notices a change. It does not notice somebody who was in the middle
// from the beginning. It admits nobody in rooms, where a relay brings the members, or among clients.
func (k *KnownPeers) TrustOnFirstUse() Verifier { return firstUse{k} }

type firstUse struct{ known *KnownPeers }

func (f firstUse) Verify(_ context.Context, want Expected, got *keys.PublicIdentity) error {
	if f.known == nil {
		return stranger(want, got)
	}
	return f.known.learn(want, got, func(next *snapshot) error {
		err := next.recognise(want, got)
		if e, ok := err.(*Error); ok && e.Reason == Unknown && scopeOf(want).kind == scopeAddress {
			return next.admit(want, got, FirstUse)
		}
		return err
	})
}

func (f firstUse) OnChange(g func()) (stop func()) { return f.known.OnChange(g) }

// Forget takes an admission back. KnownPeers still remembers the root.
func (k *KnownPeers) Forget(want Expected, root keys.Fingerprint) error {
	return k.change(func(n snapshot) (snapshot, error) {
		n.remove(func(a admission) bool { return a.scope == scopeOf(want) && a.root == root })
		return n, nil
	})
}

// Admitted returns the roots known for an address or room.
func (k *KnownPeers) Admitted(want Expected) []keys.Fingerprint {
	n := k.now()
	return n.at(scopeOf(want))
}

// Level returns how a root came to be known for an address or room.
func (k *KnownPeers) Level(want Expected, root keys.Fingerprint) (Level, bool) {
	n := k.now()
	i := n.find(scopeOf(want), root)
	if i < 0 {
		return 0, false
	}
	return n.admissions[i].level, true
}

// OnChange is described at [ChangeNotifier]. A later statement of a root is no
// change in this sense.
func (k *KnownPeers) OnChange(f func()) (stop func()) {
	if k == nil {
		return noListener(f)
	}
	return k.listeners.add(f)
}

// init offers a mark of what is known to the store of the npm package.
func init() { pagestore.Peers = func(k any) any { return k.(*KnownPeers).known.Load() } }

// now returns what is known. The caller reads it, or changes a copy of it.
func (k *KnownPeers) now() snapshot {
	if n := k.known.Load(); n != nil {
		return *n
	}
	return snapshot{}
}

// learn changes what is known: by what the statement says about its root, and by do.
func (k *KnownPeers) learn(want Expected, got *keys.PublicIdentity, do func(*snapshot) error) error {
	return k.change(func(n snapshot) (snapshot, error) { return n.learn(want, got, do) })
}

// change stores what f returns and then makes it known, even if f returns an error with it. If f
// changes nothing, which is most often, change takes no lock.
func (k *KnownPeers) change(f func(snapshot) (snapshot, error)) error {
	if next, err := f(k.now()); !next.owned {
		return err
	}
	k.changing.Lock()
	before := k.now()
	next, err := f(before)
	if failed := k.store(before, next); failed != nil {
		err = errors.Join(err, failed)
	}
	k.changing.Unlock()
	if !k.now().trustsSame(before) {
		k.listeners.call()
	}
	return err
}

// store stores next and makes it known, unless it is what was known before. The caller holds
// k.changing.
func (k *KnownPeers) store(before, next snapshot) error {
	if next.equal(before) {
		return nil
	}
	done, err := true, error(nil)
	if k.persist != nil {
		done, err = k.persist(next.append(nil))
	}
	if done {
		next.owned = false
		k.known.Store(&next)
	}
	return err
}
