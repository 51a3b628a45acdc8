package keys

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/hopseal/hopseal/keys/internal/bridge"
)

// ErrKnownPeers is returned for bytes that are not a list of known peers.
var ErrKnownPeers = errors.New("keys: not a valid list of known peers")

// KnownPeers trusts the identities that the user admitted, each in the role and
// for the address or room that it was admitted for, and never for the name that it
// gives itself. A dialled address has one identity; a room has many members, and a
// server many clients.
//
// Of every root that was ever admitted it remembers the newest statement, a
// revocation and a successor, also once the admission is gone: an older statement
// does not come back, nor does a root that was withdrawn. [KnownPeers.Revoke]
// withdraws a root before anything else is known of it.
//
// The zero KnownPeers knows nobody. It is safe for concurrent use; it must not be
// copied.
type KnownPeers struct {
	changing sync.Mutex            // held while a change is made, which may wait for a disk
	known    atomic.Pointer[known] // what it points to never changes; nil for nothing
	notices  notices

	// persist, if not nil, stores the encoded list before a change takes
	// effect, and reports whether it did.
	persist func([]byte) (done bool, err error)
}

// known is what is known at one moment.
type known struct {
	roots      []rootState // ascending, of every root in admissions and more
	admissions []admission // ascending
	owned      bool        // these are copies, made to be changed
}

// rootState is what is remembered of a root, for good.
type rootState struct {
	root      Fingerprint
	serial    uint64            // the highest seen
	digest    [sha256.Size]byte // of the statement with that serial, zero for none seen
	successor Fingerprint       // the root that took its place, zero for none
}

// admission is whom the user means by a place.
type admission struct {
	place place
	root  Fingerprint
	level TrustLevel
}

// place is what the caller meant to reach.
type place struct {
	kind byte
	name string
	role Role
}

const (
	placeAddress = 1 // dialled: one identity
	placeRoom    = 2
	placeClients = 3 // of a server that accepts
)

func placeOf(want Expected) place {
	switch {
	case want.Room != "":
		return place{placeRoom, want.Room, want.Role}
	case want.Role == RoleClient && want.Address == "":
		return place{placeClients, "", want.Role}
	}
	return place{placeAddress, want.Address, want.Role}
}

func (p place) check() error {
	if len(p.name) > maxPlaceSize || !utf8.ValidString(p.name) || p.role > RoleMember {
		return fmt.Errorf("keys: an address or room is UTF-8 of at most %d bytes, and has one of the roles", maxPlaceSize)
	}
	return nil
}

const maxPlaceSize = bridge.MaxPlace

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.kind, q.kind), cmp.Compare(p.name, q.name), cmp.Compare(p.role, q.role))
}

func (a admission) compare(b admission) int {
	return cmp.Or(a.place.compare(b.place), bytes.Compare(a.root[:], b.root[:]))
}

func (s rootState) compare(t rootState) int { return bytes.Compare(s.root[:], t.root[:]) }

// TrustLevel is how a known peer came to be known.
type TrustLevel byte

const (
	TrustFirstUse  TrustLevel = iota + 1 // it answered first, see [KnownPeers.TrustOnFirstUse]
	TrustSucceeded                       // a peer that was known named it as its successor
	TrustVerified                        // a person compared the fingerprint
)

func (l TrustLevel) String() string {
	switch l {
	case TrustFirstUse:
		return "first use"
	case TrustSucceeded:
		return "succeeded"
	case TrustVerified:
		return "verified"
	}
	return fmt.Sprintf("TrustLevel(%d)", l)
}

// Verify returns nil for a peer that was admitted for this address or room. It
// remembers the newest statement of its root, and the revocation of a root that it
// has known. That of any other is refused and not remembered, since a stranger can
// make any number: see [KnownPeers.Revoke].
func (k *KnownPeers) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	return k.hear(want, got, func(next *known) error { return next.recognise(want, got) })
}

// Admit records that a person compared the fingerprint and means this identity by
// this address or room. For an address it takes the place of the one before.
func (k *KnownPeers) Admit(want Expected, got *PublicIdentity) error {
	return k.hear(want, got, func(next *known) error { return next.admit(want, got, TrustVerified) })
}

// TrustOnFirstUse returns a Verifier that admits whoever answers first at an
// address, and then is KnownPeers: it notices a change, and would not have noticed
// somebody who was in the middle from the unixtime.Beginning. In rooms, where a relay
// brings members, and among clients nobody is admitted that way.
func (k *KnownPeers) TrustOnFirstUse() Verifier { return firstUse{k} }

type firstUse struct{ known *KnownPeers }

func (f firstUse) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	return f.known.hear(want, got, func(next *known) error {
		err := next.recognise(want, got)
		if e, ok := err.(*TrustError); ok && e.Reason == TrustUnknown && placeOf(want).kind == placeAddress {
			return next.admit(want, got, TrustFirstUse)
		}
		return err
	})
}

func (f firstUse) OnChange(g func()) (stop func()) { return f.known.OnChange(g) }

// Forget takes an admission back. What is remembered of the root stays.
func (k *KnownPeers) Forget(want Expected, root Fingerprint) error {
	return k.change(func(n known) (known, error) {
		n.remove(func(a admission) bool { return a.place == placeOf(want) && a.root == root })
		return n, nil
	})
}

// Admitted returns the roots known for an address or room.
func (k *KnownPeers) Admitted(want Expected) []Fingerprint {
	n := k.now()
	return n.at(placeOf(want))
}

// Level returns how a root came to be known for an address or room.
func (k *KnownPeers) Level(want Expected, root Fingerprint) (TrustLevel, bool) {
	n := k.now()
	i := n.find(placeOf(want), root)
	if i < 0 {
		return 0, false
	}
	return n.admissions[i].level, true
}

// OnChange is described at [ChangeNotifier]. A later statement of a root is no
// change in this sense.
func (k *KnownPeers) OnChange(f func()) (stop func()) { return k.notices.add(f) }

// now returns what is known, to look at or to change a copy of it.
func (k *KnownPeers) now() known {
	if n := k.known.Load(); n != nil {
		return *n
	}
	return known{}
}

// hear changes what a statement says about its root, and then what do says.
func (k *KnownPeers) hear(want Expected, got *PublicIdentity, do func(*known) error) error {
	return k.change(func(n known) (known, error) { return n.hear(want, got, do) })
}

// change makes what f returns known, once it is safe on disk, also where f returns an
// error with it. Where f changes nothing, as most often, that waits for nobody.
func (k *KnownPeers) change(f func(known) (known, error)) error {
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
	if !k.now().trustsLike(before) {
		k.notices.tell()
	}
	return err
}

// store is called under changing.
func (k *KnownPeers) store(before, next known) error {
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
