package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// snapshot is what is known at one moment.
type snapshot struct {
	roots      []rootState // ascending; every root in admissions, and more
	admissions []admission // ascending
	owned      bool        // the slices are copies, which may be changed
}

// rootState is what is remembered of a root, for good.
type rootState struct {
	root      keys.Fingerprint
	serial    uint64            // the highest seen, revokedSerial for a revocation
	digest    [sha256.Size]byte // of the statement with that serial, zero for none seen
	successor keys.Fingerprint  // the root that succeeded it, zero for none
}

// revokedSerial is the serial of every revocation.
const revokedSerial = math.MaxUint64

// admission says that the user means this root in this scope.
type admission struct {
	scope scope
	root  keys.Fingerprint
	level Level
}

// scope is where an admission counts.
type scope struct {
	kind byte
	name string
	role Role
}

const (
	scopeAddress = 1 // dialled: one identity
	scopeRoom    = 2
	scopeClients = 3 // of a server that accepts
)

func scopeOf(want Expected) scope {
	switch {
	case want.Room != "":
		return scope{scopeRoom, want.Room, want.Role}
	case want.Role == RoleClient && want.Address == "":
		return scope{scopeClients, "", want.Role}
	}
	return scope{scopeAddress, want.Address, want.Role}
}

func (s scope) check() error {
	if len(s.name) > maxScopeSize || !utf8.ValidString(s.name) || s.role > RoleMember {
		return fmt.Errorf("keys: an address or room is UTF-8 of at most %d bytes, and has one of the roles", maxScopeSize)
	}
	return nil
}

// maxScopeSize bounds the name of a scope, in bytes.
const maxScopeSize = bridge.MaxName

func (s scope) compare(t scope) int {
	return cmp.Or(cmp.Compare(s.kind, t.kind), cmp.Compare(s.name, t.name), cmp.Compare(s.role, t.role))
}

func (a admission) compare(b admission) int {
	return cmp.Or(a.scope.compare(b.scope), bytes.Compare(a.root[:], b.root[:]))
}

func (s rootState) compare(t rootState) int { return bytes.Compare(s.root[:], t.root[:]) }

// own copies the slices, unless they are copies already, so that they may be changed.
func (n *snapshot) own() {
	if !n.owned {
		n.roots, n.admissions, n.owned = slices.Clone(n.roots), slices.Clone(n.admissions), true
	}
}

func (n snapshot) equal(m snapshot) bool {
	return slices.Equal(n.roots, m.roots) && slices.Equal(n.admissions, m.admissions)
}

// trustsSame reports whether n and m trust the same roots in the same scopes. The statements that
// they have seen do not matter.
func (n snapshot) trustsSame(m snapshot) bool {
	return slices.Equal(n.admissions, m.admissions) && slices.EqualFunc(n.roots, m.roots, func(s, t rootState) bool {
		return s.root == t.root && s.successor == t.successor && (s.serial == revokedSerial) == (t.serial == revokedSerial)
	})
}

// learn returns what is known after a statement of a peer, and after do. It remembers nothing of a
// statement that is refused, except the revocation of a known root: anyone may pass one on.
func (n snapshot) learn(want Expected, got *keys.PublicIdentity, do func(*snapshot) error) (snapshot, error) {
	if empty(got) {
		return n, missing.Arg("PublicIdentity")
	}
	next := n
	if err := next.withdrawn(want, got); err != nil {
		return next, err
	}
	err := checkPeer(want, got)
	if err == nil {
		err = do(&next)
	}
	if err == nil {
		err = checkTime(want, got, time.Now())
	}
	if err == nil {
		err = next.advance(want, got)
	}
	if err != nil {
		return n, err
	}
	return next, nil
}

// withdrawn returns an error for a root that was revoked or has a successor.
func (n *snapshot) withdrawn(want Expected, got *keys.PublicIdentity) error {
	s := n.state(got.Fingerprint())
	switch {
	case s == nil && !got.Revoked():
		return nil
	case s != nil && got.Revoked():
		n.revoke(s.root, sha256.Sum256(got.Bytes()))
	case s != nil && s.successor != keys.Fingerprint{}:
		return &Error{Revoked, want, s.root, []keys.Fingerprint{s.successor}}
	case s != nil && s.serial != revokedSerial:
		return nil
	}
	return &Error{Revoked, want, got.Fingerprint(), nil}
}

// advance remembers the statement as the newest of its root. It returns an error if a newer one, or
// another one with the same serial, has been seen.
func (n *snapshot) advance(want Expected, got *keys.PublicIdentity) error {
	s := n.state(got.Fingerprint())
	if s == nil {
		return nil
	}
	digest := sha256.Sum256(got.Bytes())
	switch {
	case s.serial == got.Serial() && s.digest == digest:
		return nil
	case s.serial > got.Serial():
		return &Error{RolledBack, want, s.root, nil}
	case s.serial == got.Serial():
		return &Error{Changed, want, s.root, []keys.Fingerprint{s.root}}
	}
	s = n.track(s.root)
	s.serial, s.digest = got.Serial(), digest
	return nil
}

func (n *snapshot) recognise(want Expected, got *keys.PublicIdentity) error {
	at := scopeOf(want)
	if n.find(at, got.Fingerprint()) >= 0 {
		return nil
	}
	if roots := n.at(at); at.kind == scopeAddress && len(roots) > 0 {
		return &Error{Changed, want, got.Fingerprint(), roots}
	}
	return &Error{Unknown, want, got.Fingerprint(), nil}
}

func (n *snapshot) admit(want Expected, got *keys.PublicIdentity, level Level) error {
	at, root := scopeOf(want), got.Fingerprint()
	if err := at.check(); err != nil {
		return err
	}
	if i := n.find(at, root); i >= 0 {
		n.own()
		n.admissions[i].level = max(n.admissions[i].level, level)
		return nil
	}
	if at.kind == scopeAddress {
		n.remove(func(a admission) bool { return a.scope == at })
	}
	n.put(admission{at, root, level})
	if s := n.track(root); s.serial < got.Serial() {
		s.serial, s.digest = got.Serial(), sha256.Sum256(got.Bytes())
	}
	return nil
}

func (n *snapshot) put(a admission) {
	n.own()
	if i, found := slices.BinarySearchFunc(n.admissions, a, admission.compare); !found {
		n.admissions = slices.Insert(n.admissions, i, a)
	}
}

func (n *snapshot) remove(unwanted func(admission) bool) {
	n.own()
	n.admissions = slices.DeleteFunc(n.admissions, unwanted)
}

// state returns what is remembered of a root, or nil. The caller only reads it.
func (n *snapshot) state(root keys.Fingerprint) *rootState {
	i, found := slices.BinarySearchFunc(n.roots, rootState{root: root}, rootState.compare)
	if !found {
		return nil
	}
	return &n.roots[i]
}

// track returns what is remembered of a root, for the caller to change. If that was nothing, it is
// remembered from now on.
func (n *snapshot) track(root keys.Fingerprint) *rootState {
	n.own()
	i, found := slices.BinarySearchFunc(n.roots, rootState{root: root}, rootState.compare)
	if !found {
		n.roots = slices.Insert(n.roots, i, rootState{root: root})
	}
	return &n.roots[i]
}

func (n *snapshot) find(at scope, root keys.Fingerprint) int {
	i, found := slices.BinarySearchFunc(n.admissions, admission{scope: at, root: root}, admission.compare)
	if !found {
		return -1
	}
	return i
}

func (n *snapshot) at(at scope) []keys.Fingerprint {
	var roots []keys.Fingerprint
	for _, a := range n.admissions {
		if a.scope == at {
			roots = append(roots, a.root)
		}
	}
	return roots
}
