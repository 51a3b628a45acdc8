package keys

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/strict"
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
// does not come back, nor does a root that was withdrawn.
//
// The zero KnownPeers knows nobody. It is safe for concurrent use; it must not be
// copied.
type KnownPeers struct {
	mu    sync.Mutex // guards known
	known known

	// persist, if not nil, stores the encoded list before a change takes
	// effect.
	persist func([]byte) error
}

// known is what is known at one moment.
type known struct {
	roots      []rootState // ascending, of every root in admissions and more
	admissions []admission // ascending
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

const maxPlaceSize = 1024

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
// remembers the newest statement of its root.
func (k *KnownPeers) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	return k.change(want, got, func(next *known) error { return next.recognise(want, got) })
}

// Admit records that a person compared the fingerprint and means this identity by
// this address or room. For an address it takes the place of the one before.
func (k *KnownPeers) Admit(want Expected, got *PublicIdentity) error {
	return k.change(want, got, func(next *known) error { return next.admit(want, got, TrustVerified) })
}

// TrustOnFirstUse returns a Verifier that admits whoever answers first at an
// address, and then is KnownPeers: it notices a change, and would not have noticed
// somebody who was in the middle from the beginning. In rooms, where a relay
// brings members, and among clients nobody is admitted that way.
func (k *KnownPeers) TrustOnFirstUse() Verifier { return firstUse{k} }

type firstUse struct{ known *KnownPeers }

func (f firstUse) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	return f.known.change(want, got, func(next *known) error {
		err := next.recognise(want, got)
		if e, ok := err.(*TrustError); ok && e.Reason == TrustUnknown && placeOf(want).kind == placeAddress {
			return next.admit(want, got, TrustFirstUse)
		}
		return err
	})
}

// Forget takes an admission back. What is remembered of the root stays.
func (k *KnownPeers) Forget(want Expected, root Fingerprint) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.known.clone()
	next.remove(func(a admission) bool { return a.place == placeOf(want) && a.root == root })
	return k.store(next)
}

// Admitted returns the roots known for an address or room.
func (k *KnownPeers) Admitted(want Expected) []Fingerprint {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known.at(placeOf(want))
}

// Level returns how a root came to be known for an address or room.
func (k *KnownPeers) Level(want Expected, root Fingerprint) (TrustLevel, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.known.find(placeOf(want), root)
	if i < 0 {
		return 0, false
	}
	return k.known.admissions[i].level, true
}

// Succeed takes the word of a known root, and of its successor, that the one
// takes the place of the other, wherever it is admitted. The first succession of a
// root wins. What was verified by a person is then known as succeeded. It returns
// a [*TrustError] for a root that is not known, was revoked, or has another
// successor.
func (k *KnownPeers) Succeed(s *Succession) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.known.clone()
	old := next.state(s.old)
	switch {
	case old == nil:
		return &TrustError{TrustUnknown, Expected{}, s.old, nil}
	case old.serial == revokedSerial:
		return &TrustError{TrustRevoked, Expected{}, s.old, nil}
	case old.successor != Fingerprint{} && old.successor != s.next:
		return &TrustError{TrustChanged, Expected{}, s.next, []Fingerprint{old.successor}}
	}
	old.successor = s.next
	next.track(s.next)
	for _, a := range k.known.admissions {
		if a.root == s.old {
			next.remove(func(b admission) bool { return a == b })
			next.put(admission{a.place, s.next, min(a.level, TrustSucceeded)})
		}
	}
	return k.store(next)
}

// change applies what a statement says about its root, then f. Nothing is
// remembered of a statement that is refused, but for the revocation of a root that
// is known: anyone may pass one on.
func (k *KnownPeers) change(want Expected, got *PublicIdentity, f func(*known) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if got == nil {
		return errNoPeer
	}
	next := k.known.clone()
	if err := next.withdrawn(want, got); err != nil {
		return errors.Join(err, k.store(next))
	}
	if err := checkCurrent(want, got, time.Now()); err != nil {
		return err
	}
	if err := next.advance(want, got); err != nil {
		return err
	}
	if err := f(&next); err != nil {
		return err
	}
	return k.store(next)
}

// store makes next what is known, once it is safe on disk.
func (k *KnownPeers) store(next known) error {
	if slices.Equal(next.roots, k.known.roots) && slices.Equal(next.admissions, k.known.admissions) {
		return nil
	}
	if k.persist != nil {
		if err := k.persist(next.append(nil)); err != nil {
			return err
		}
	}
	k.known = next
	return nil
}

func (n known) clone() known { return known{slices.Clone(n.roots), slices.Clone(n.admissions)} }

// withdrawn returns an error for a root that was revoked or has a successor.
func (n *known) withdrawn(want Expected, got *PublicIdentity) error {
	s := n.state(got.Fingerprint())
	switch {
	case s != nil && s.successor != Fingerprint{}:
		return &TrustError{TrustRevoked, want, s.root, []Fingerprint{s.successor}}
	case s != nil && got.Revoked():
		s.serial, s.digest = revokedSerial, sha256.Sum256(got.Bytes())
	}
	if got.Revoked() || s != nil && s.serial == revokedSerial {
		return &TrustError{TrustRevoked, want, got.Fingerprint(), nil}
	}
	return nil
}

// advance moves what is remembered of the root to the statement, unless a newer
// one, or another one with the same serial, has been seen.
func (n *known) advance(want Expected, got *PublicIdentity) error {
	s := n.state(got.Fingerprint())
	digest := sha256.Sum256(got.Bytes())
	switch {
	case s == nil || s.serial == got.Serial() && s.digest == digest:
		return nil
	case s.serial > got.Serial():
		return &TrustError{TrustRolledBack, want, s.root, nil}
	case s.serial == got.Serial():
		return &TrustError{TrustChanged, want, s.root, []Fingerprint{s.root}}
	}
	s.serial, s.digest = got.Serial(), digest
	return nil
}

func (n *known) recognise(want Expected, got *PublicIdentity) error {
	at := placeOf(want)
	if n.find(at, got.Fingerprint()) >= 0 {
		return nil
	}
	if roots := n.at(at); at.kind == placeAddress && len(roots) > 0 {
		return &TrustError{TrustChanged, want, got.Fingerprint(), roots}
	}
	return &TrustError{TrustUnknown, want, got.Fingerprint(), nil}
}

func (n *known) admit(want Expected, got *PublicIdentity, level TrustLevel) error {
	at, root := placeOf(want), got.Fingerprint()
	if err := at.check(); err != nil {
		return err
	}
	if i := n.find(at, root); i >= 0 {
		n.admissions[i].level = max(n.admissions[i].level, level)
		return nil
	}
	if at.kind == placeAddress {
		n.remove(func(a admission) bool { return a.place == at })
	}
	n.put(admission{at, root, level})
	if s := n.track(root); s.serial < got.Serial() {
		s.serial, s.digest = got.Serial(), sha256.Sum256(got.Bytes())
	}
	return nil
}

func (n *known) put(a admission) {
	if i, found := slices.BinarySearchFunc(n.admissions, a, admission.compare); !found {
		n.admissions = slices.Insert(n.admissions, i, a)
	}
}

func (n *known) remove(unwanted func(admission) bool) {
	n.admissions = slices.DeleteFunc(n.admissions, unwanted)
}

// state returns what is remembered of a root, nil for nothing.
func (n *known) state(root Fingerprint) *rootState {
	i, found := slices.BinarySearchFunc(n.roots, rootState{root: root}, rootState.compare)
	if !found {
		return nil
	}
	return &n.roots[i]
}

// track returns what is remembered of a root, from now on if it was nothing.
func (n *known) track(root Fingerprint) *rootState {
	i, found := slices.BinarySearchFunc(n.roots, rootState{root: root}, rootState.compare)
	if !found {
		n.roots = slices.Insert(n.roots, i, rootState{root: root})
	}
	return &n.roots[i]
}

func (n *known) find(at place, root Fingerprint) int {
	i, found := slices.BinarySearchFunc(n.admissions, admission{place: at, root: root}, admission.compare)
	if !found {
		return -1
	}
	return i
}

func (n *known) at(at place) []Fingerprint {
	var roots []Fingerprint
	for _, a := range n.admissions {
		if a.place == at {
			roots = append(roots, a.root)
		}
	}
	return roots
}

// Bytes returns the list for storage. It holds no secret, but whoever changes it
// changes whom the user trusts: keep it where the identity is kept.
//
//	array(3) [ version=1,
//	  roots array of array(4) [ root bin 32, serial, digest bin 32, successor bin 32 | nil ],
//	  admissions array of array(5) [ kind, name str, role, root bin 32, level ] ]
func (k *KnownPeers) Bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known.append(nil)
}

func (n known) append(b []byte) []byte {
	b = strict.AppendUint(strict.AppendArray(b, 3), 1)
	b = strict.AppendArray(b, len(n.roots))
	for _, s := range n.roots {
		b = strict.AppendBin(strict.AppendArray(b, 4), s.root[:])
		b = strict.AppendBin(strict.AppendUint(b, s.serial), s.digest[:])
		if s.successor == (Fingerprint{}) {
			b = strict.AppendNil(b)
		} else {
			b = strict.AppendBin(b, s.successor[:])
		}
	}
	b = strict.AppendArray(b, len(n.admissions))
	for _, a := range n.admissions {
		b = strict.AppendUint(strict.AppendArray(b, 5), uint64(a.place.kind))
		b = strict.AppendUint(strict.AppendStr(b, a.place.name), uint64(a.place.role))
		b = strict.AppendUint(strict.AppendBin(b, a.root[:]), uint64(a.level))
	}
	return b
}

// ParseKnownPeers reads what [KnownPeers.Bytes] returned, or returns
// [ErrKnownPeers].
func ParseKnownPeers(b []byte) (*KnownPeers, error) {
	r := strict.NewReader(b)
	r.Array(3)
	version := r.Uint()
	k := new(KnownPeers)
	for range r.ArrayLen(0, math.MaxInt32) {
		s, ok := parseRootState(&r)
		if n := len(k.known.roots); !ok || n > 0 && k.known.roots[n-1].compare(s) >= 0 {
			return nil, ErrKnownPeers
		}
		k.known.roots = append(k.known.roots, s)
	}
	for range r.ArrayLen(0, math.MaxInt32) {
		a, ok := parseAdmission(&r)
		if n := len(k.known.admissions); !ok || k.known.state(a.root) == nil || n > 0 && k.known.admissions[n-1].compare(a) >= 0 {
			return nil, ErrKnownPeers
		}
		k.known.admissions = append(k.known.admissions, a)
	}
	if r.Done() != nil || version != 1 {
		return nil, ErrKnownPeers
	}
	return k, nil
}

func parseRootState(r *strict.Reader) (s rootState, ok bool) {
	r.Array(4)
	copy(s.root[:], r.Bin(32, 32))
	s.serial = r.Uint()
	copy(s.digest[:], r.Bin(32, 32))
	if !r.Nil() && copy(s.successor[:], r.Bin(32, 32)) > 0 && s.successor == (Fingerprint{}) {
		r.Fail() // no successor is written nil
	}
	return s, !r.Failed()
}

func parseAdmission(r *strict.Reader) (a admission, ok bool) {
	r.Array(5)
	kind, name, role := r.Uint(), r.Str(0, maxPlaceSize), r.Uint()
	copy(a.root[:], r.Bin(32, 32))
	level := r.Uint()
	a.place = place{byte(kind), name, Role(role)}
	a.level = TrustLevel(level)
	return a, !r.Failed() && kind >= placeAddress && kind <= placeClients && role <= uint64(RoleMember) &&
		level >= uint64(TrustFirstUse) && level <= uint64(TrustVerified)
}
