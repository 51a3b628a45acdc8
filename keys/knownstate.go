package keys

import (
	"crypto/sha256"
	"slices"
	"time"
)

// own makes the slices copies that may be changed.
func (n *known) own() {
	if !n.owned {
		n.roots, n.admissions, n.owned = slices.Clone(n.roots), slices.Clone(n.admissions), true
	}
}

func (n known) equal(m known) bool {
	return slices.Equal(n.roots, m.roots) && slices.Equal(n.admissions, m.admissions)
}

// trustsLike reports whether n and m trust the same roots at the same places, whichever
// of their statements they have seen.
func (n known) trustsLike(m known) bool {
	return slices.Equal(n.admissions, m.admissions) && slices.EqualFunc(n.roots, m.roots, func(s, t rootState) bool {
		return s.root == t.root && s.successor == t.successor && (s.serial == revokedSerial) == (t.serial == revokedSerial)
	})
}

// hear returns what is known behind a statement of a peer, and behind do. Nothing is
// remembered of a statement that is refused, but for the revocation of a root that is
// known: anyone may pass one on.
func (n known) hear(want Expected, got *PublicIdentity, do func(*known) error) (known, error) {
	if got.empty() {
		return n, errNil("PublicIdentity")
	}
	next := n
	if err := next.withdrawn(want, got); err != nil {
		return next, err
	}
	err := checkMeant(want, got)
	if err == nil {
		err = do(&next)
	}
	if err == nil {
		err = lapsed(want, got, time.Now())
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
func (n *known) withdrawn(want Expected, got *PublicIdentity) error {
	s := n.state(got.Fingerprint())
	switch {
	case s == nil && !got.Revoked():
		return nil
	case s != nil && got.Revoked():
		n.revoke(s.root, sha256.Sum256(got.Bytes()))
	case s != nil && s.successor != Fingerprint{}:
		return &TrustError{TrustRevoked, want, s.root, []Fingerprint{s.successor}}
	case s != nil && s.serial != revokedSerial:
		return nil
	}
	return &TrustError{TrustRevoked, want, got.Fingerprint(), nil}
}

// advance moves what is remembered of the root to the statement, unless a newer
// one, or another one with the same serial, has been seen.
func (n *known) advance(want Expected, got *PublicIdentity) error {
	s := n.state(got.Fingerprint())
	if s == nil {
		return nil
	}
	digest := sha256.Sum256(got.Bytes())
	switch {
	case s.serial == got.Serial() && s.digest == digest:
		return nil
	case s.serial > got.Serial():
		return &TrustError{TrustRolledBack, want, s.root, nil}
	case s.serial == got.Serial():
		return &TrustError{TrustChanged, want, s.root, []Fingerprint{s.root}}
	}
	s = n.track(s.root)
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
		n.own()
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
	n.own()
	if i, found := slices.BinarySearchFunc(n.admissions, a, admission.compare); !found {
		n.admissions = slices.Insert(n.admissions, i, a)
	}
}

func (n *known) remove(unwanted func(admission) bool) {
	n.own()
	n.admissions = slices.DeleteFunc(n.admissions, unwanted)
}

// state returns what is remembered of a root, to look at, or nil for nothing.
func (n *known) state(root Fingerprint) *rootState {
	i, found := slices.BinarySearchFunc(n.roots, rootState{root: root}, rootState.compare)
	if !found {
		return nil
	}
	return &n.roots[i]
}

// track returns what is remembered of a root, to change, from now on if it was nothing.
func (n *known) track(root Fingerprint) *rootState {
	n.own()
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
