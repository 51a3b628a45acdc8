package keys

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// MaxRevoked is how many revoked roots a [KnownPeers] remembers. Those of roots that it
// knew before are remembered beyond that too.
const MaxRevoked = 10_000

// Errors of [KnownPeers.Revoke] and [Authority.Revoke].
var (
	ErrNotRevocation  = errors.New("keys: not a revocation: the identity is not withdrawn by this statement")
	ErrTooManyRevoked = fmt.Errorf("keys: %d identities are known to be revoked, and there is no room for one that was never known", MaxRevoked)
)

// Revoke takes in a revocation: a statement by which a root withdraws its identity, see
// [PublicIdentity.Revoked]. The root is never trusted again, whether it is known or not,
// and whatever was heard of it before or is heard later: an older or newer statement, an
// admission, a succession. A succession that it signed before counts no more, unless a
// person has compared the successor's fingerprint: where that was trusted on the root's
// word, the root is what is known again, and is revoked.
//
// A revocation proves itself, so it may come from anywhere; but whoever can make a
// program call Revoke can fill the list, up to [MaxRevoked]. Call it for what a person,
// or a service of yours, hands over, and not for what strangers send.
//
// Errors: [ErrNotRevocation], [ErrTooManyRevoked], or that of storing it.
func (k *KnownPeers) Revoke(p *PublicIdentity) error {
	if p.empty() {
		return errNil("PublicIdentity")
	}
	if !p.Revoked() {
		return ErrNotRevocation
	}
	return k.change(func(n known) (known, error) {
		if n.state(p.Fingerprint()) == nil && n.revocations() >= MaxRevoked {
			return n, ErrTooManyRevoked
		}
		n.revoke(p.Fingerprint(), sha256.Sum256(p.Bytes()))
		return n, nil
	})
}

// revoke remembers that a root is withdrawn, for good. What was trusted on its word falls
// back to it.
func (n *known) revoke(root Fingerprint, digest [sha256.Size]byte) {
	if s := n.state(root); s != nil && s.serial == revokedSerial {
		return // it may sign any number of them
	}
	heir := n.heir(root)
	s := n.track(root)
	s.serial, s.digest, s.successor = revokedSerial, digest, Fingerprint{}
	n.move(heir, root, func(l TrustLevel) (TrustLevel, bool) { return l, l < TrustVerified })
}

func (n *known) revocations() (count int) {
	for _, s := range n.roots {
		if s.serial == revokedSerial {
			count++
		}
	}
	return count
}

// Succeed takes the word of a known root, and of its successor, that the one
// takes the place of the other, wherever it is admitted. The first succession of a
// root wins. What was verified by a person is then known as succeeded. It returns
// a [*TrustError] for a root that is not known, has another successor, or was revoked,
// and for a successor that was revoked or was itself succeeded by the root.
func (k *KnownPeers) Succeed(s *Succession) error {
	if s.empty() {
		return errNil("Succession")
	}
	return k.change(func(n known) (known, error) {
		heir := n.heir(s.next)
		old, next := n.state(s.old), n.state(heir)
		switch {
		case old == nil:
			return n, &TrustError{TrustUnknown, Expected{}, s.old, nil}
		case old.serial == revokedSerial:
			return n, &TrustError{TrustRevoked, Expected{}, s.old, nil}
		case old.successor != Fingerprint{} && old.successor != s.next:
			return n, &TrustError{TrustChanged, Expected{}, s.next, []Fingerprint{old.successor}}
		case heir == s.old, next != nil && next.serial == revokedSerial:
			return n, &TrustError{TrustRevoked, Expected{}, s.next, nil}
		}
		n.track(s.old).successor = s.next
		n.track(s.next)
		n.move(s.old, heir, func(l TrustLevel) (TrustLevel, bool) { return min(l, TrustSucceeded), true })
		return n, nil
	})
}

// heir returns the root that is trusted in the place of another one by now: itself, where
// it has no successor.
func (n *known) heir(root Fingerprint) Fingerprint {
	for range n.roots { // a list from elsewhere may go in a circle
		s := n.state(root)
		if s == nil || s.successor == (Fingerprint{}) {
			break
		}
		root = s.successor
	}
	return root
}

// move has one root stand where another one was admitted, at the level that is said.
func (n *known) move(from, to Fingerprint, level func(TrustLevel) (_ TrustLevel, moves bool)) {
	if from == to {
		return
	}
	for _, a := range slices.Clone(n.admissions) {
		l, moves := level(a.level)
		if a.root != from || !moves {
			continue
		}
		n.remove(func(b admission) bool { return a == b })
		n.put(admission{a.place, to, l})
	}
}

// RefuseRevoked returns a Verifier that refuses whoever the list knows to be withdrawn,
// and older statements of whoever it knows, and has v decide on everybody else. It is for
// [Pinned], an [Authority] and Verifiers of the application's, which remember less.
func (k *KnownPeers) RefuseRevoked(v Verifier) Verifier { return refusing{k, v} }

type refusing struct {
	known *KnownPeers
	next  Verifier
}

func (r refusing) Verify(ctx context.Context, want Expected, got *PublicIdentity) error {
	if r.next == nil {
		return errNil("Verifier")
	}
	heard := r.known.hear(want, got, func(*known) error { return nil })
	if heard != nil && !outdated(heard) {
		return heard
	}
	if err := r.next.Verify(ctx, want, got); err != nil {
		return err
	}
	return heard
}

// outdated reports whether only the statement is refused, and not its root.
func outdated(err error) bool {
	var trust *TrustError
	return errors.As(err, &trust) &&
		(trust.Reason == TrustExpired || trust.Reason == TrustNotYetValid || trust.Reason == TrustRolledBack)
}

// OnChange tells of the list and of the Verifier behind it.
func (r refusing) OnChange(f func()) (stop func()) {
	first, second := r.known.OnChange(f), onChange(r.next, f)
	return func() { first(); second() }
}

// Several is that of the Verifier behind it, for package peer.
func (r refusing) Several() bool {
	pins, ok := r.next.(interface{ Several() bool })
	return ok && pins.Several()
}
