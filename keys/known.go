package keys

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
)

// ErrKnownPeers is returned for bytes that are not a list of known peers.
var ErrKnownPeers = errors.New("keys: not a valid list of known peers")

// KnownPeers trusts the identities that the user admitted, each for the address
// or room that it was admitted for and never for the name that it gives itself.
// An address has one identity, a room has many. The highest serial seen of each
// root is remembered, so that an older statement does not come back.
//
// The zero KnownPeers knows nobody. It is safe for concurrent use; it must not be
// copied.
type KnownPeers struct {
	mu    sync.Mutex // guards peers
	peers []knownPeer

	// persist, if not nil, stores the encoded list before a change takes
	// effect.
	persist func([]byte) error
}

// knownPeer is one admission, with the newest statement seen of its root.
type knownPeer struct {
	place  place
	root   Fingerprint
	serial uint64
	digest [sha256.Size]byte // of the statement with that serial
}

// place is what the caller meant to reach. Addresses and rooms are apart.
type place struct {
	kind byte
	name string
}

const (
	placeAddress = 1
	placeRoom    = 2
)

func placeOf(want Expected) place {
	if want.Room != "" {
		return place{placeRoom, want.Room}
	}
	return place{placeAddress, want.Address}
}

func (p knownPeer) compare(q knownPeer) int {
	return cmp.Or(cmp.Compare(p.place.kind, q.place.kind),
		cmp.Compare(p.place.name, q.place.name), bytes.Compare(p.root[:], q.root[:]))
}

// Verify returns nil for a peer that was admitted for this address or room. It
// remembers the newest statement of its root.
func (k *KnownPeers) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	return k.change(want, got, func(peers []knownPeer) ([]knownPeer, error) {
		at := placeOf(want)
		if find(peers, at, got.Fingerprint()) >= 0 {
			return peers, nil
		}
		if known := rootsAt(peers, at); at.kind == placeAddress && len(known) > 0 {
			return nil, &TrustError{TrustChanged, want, got.Fingerprint(), known}
		}
		return nil, &TrustError{TrustUnknown, want, got.Fingerprint(), nil}
	})
}

// Admit records that the user compared the fingerprint and means this identity
// by this address or room. For an address it takes the place of the one before.
func (k *KnownPeers) Admit(want Expected, got *PublicIdentity) error {
	return k.change(want, got, func(peers []knownPeer) ([]knownPeer, error) {
		at := placeOf(want)
		if find(peers, at, got.Fingerprint()) >= 0 {
			return peers, nil
		}
		if at.kind == placeAddress {
			peers = slices.DeleteFunc(peers, func(p knownPeer) bool { return p.place == at })
		}
		p := knownPeer{at, got.Fingerprint(), got.Serial(), sha256.Sum256(got.Bytes())}
		i, _ := slices.BinarySearchFunc(peers, p, knownPeer.compare)
		return slices.Insert(peers, i, p), nil
	})
}

// change applies what a statement says about its root, then f. Nothing is
// remembered of a statement that is refused, but for a revocation: anyone may
// pass one on.
func (k *KnownPeers) change(want Expected, got *PublicIdentity, f func([]knownPeer) ([]knownPeer, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	peers := slices.Clone(k.peers)
	if revoked(peers, got) {
		return errors.Join(&TrustError{TrustRevoked, want, got.Fingerprint(), nil}, k.store(peers))
	}
	if err := checkCurrent(want, got, time.Now()); err != nil {
		return err
	}
	if err := advance(peers, want, got); err != nil {
		return err
	}
	peers, err := f(peers)
	if err != nil {
		return err
	}
	return k.store(peers)
}

// store makes peers the list, once it is safe on disk.
func (k *KnownPeers) store(peers []knownPeer) error {
	if slices.Equal(peers, k.peers) {
		return nil
	}
	if k.persist != nil {
		if err := k.persist(appendPeers(nil, peers)); err != nil {
			return err
		}
	}
	k.peers = peers
	return nil
}

// Forget takes an admission back.
func (k *KnownPeers) Forget(want Expected, root Fingerprint) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := placeOf(want)
	return k.store(slices.DeleteFunc(slices.Clone(k.peers), func(p knownPeer) bool { return p.place == at && p.root == root }))
}

// Admitted returns the roots known for an address or room.
func (k *KnownPeers) Admitted(want Expected) []Fingerprint {
	k.mu.Lock()
	defer k.mu.Unlock()
	return rootsAt(k.peers, placeOf(want))
}

func find(peers []knownPeer, at place, root Fingerprint) int {
	return slices.IndexFunc(peers, func(p knownPeer) bool { return p.place == at && p.root == root })
}

func rootsAt(peers []knownPeer, at place) []Fingerprint {
	var roots []Fingerprint
	for _, p := range peers {
		if p.place == at {
			roots = append(roots, p.root)
		}
	}
	return roots
}

// revoked reports whether the root was ever withdrawn, and marks it so at every
// place that knows it.
func revoked(peers []knownPeer, got *PublicIdentity) bool {
	was := got.Revoked()
	for i := range peers {
		if p := &peers[i]; p.root == got.Fingerprint() {
			if got.Revoked() {
				p.serial = revokedSerial
			}
			was = was || p.serial == revokedSerial
		}
	}
	return was
}

// advance moves every record of the root to the statement, unless a newer one,
// or another one with the same serial, has been seen.
func advance(peers []knownPeer, want Expected, got *PublicIdentity) error {
	digest := sha256.Sum256(got.Bytes())
	for i := range peers {
		p := &peers[i]
		switch {
		case p.root != got.Fingerprint() || p.serial == got.Serial() && p.digest == digest:
		case p.serial > got.Serial():
			return &TrustError{TrustRolledBack, want, got.Fingerprint(), nil}
		case p.serial == got.Serial():
			return &TrustError{TrustChanged, want, got.Fingerprint(), nil}
		default:
			p.serial, p.digest = got.Serial(), digest
		}
	}
	return nil
}

// Bytes returns the list for storage. It holds no secret, but whoever changes it
// changes whom the user trusts: keep it where the identity is kept.
//
//	array(2) [ version=1, array of array(5) [ kind, name str, root bin 32, serial, digest bin 32 ] ]
func (k *KnownPeers) Bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return appendPeers(nil, k.peers)
}

func appendPeers(b []byte, peers []knownPeer) []byte {
	b = strict.AppendUint(strict.AppendArray(b, 2), 1)
	b = strict.AppendArray(b, len(peers))
	for _, p := range peers {
		b = strict.AppendUint(strict.AppendArray(b, 5), uint64(p.place.kind))
		b = strict.AppendStr(b, p.place.name)
		b = strict.AppendBin(b, p.root[:])
		b = strict.AppendUint(b, p.serial)
		b = strict.AppendBin(b, p.digest[:])
	}
	return b
}

// ParseKnownPeers reads what [KnownPeers.Bytes] returned, or returns
// [ErrKnownPeers].
func ParseKnownPeers(b []byte) (*KnownPeers, error) {
	r := strict.NewReader(b)
	r.Array(2)
	version := r.Uint()
	k := new(KnownPeers)
	for range r.ArrayLen(0, math.MaxInt32) {
		r.Array(5)
		p := knownPeer{place: place{byte(min(r.Uint(), 3)), r.Str(0, math.MaxUint16)}}
		copy(p.root[:], r.Bin(32, 32))
		p.serial = r.Uint()
		copy(p.digest[:], r.Bin(32, 32))
		if n := len(k.peers); r.Failed() || p.place.kind < placeAddress || p.place.kind > placeRoom ||
			n > 0 && k.peers[n-1].compare(p) >= 0 {
			return nil, ErrKnownPeers
		}
		k.peers = append(k.peers, p)
	}
	if r.Done() != nil || version != 1 {
		return nil, ErrKnownPeers
	}
	return k, nil
}
