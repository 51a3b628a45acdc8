package trust

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// MaxRevoked is how many revoked roots a [KnownPeers] remembers. It remembers revocations of roots
// that it knew before beyond that number too.
const MaxRevoked = 10_000

// Errors of [KnownPeers.Revoke] and [Authority.Revoke].
var (
	ErrNotRevocation  = errors.New("keys: not a revocation: the identity is not withdrawn by this statement")
	ErrTooManyRevoked = fmt.Errorf("keys: %d identities are known to be revoked, and there is no room for one that was never known", MaxRevoked)
)

// Revoke takes in a revocation: a statement by which a root withdraws its identity, see
// [keys.PublicIdentity.Revoked]. The root is never trusted again. It does not matter whether the root
// is known, nor what was learned of it before or is learned later: an older or newer statement, an
// admission, a succession. A succession that it signed before does not count any more, unless a
// person has compared the successor's fingerprint. If the succession alone admitted the successor,
// the root is admitted again in its place, and is revoked.
//
// A revocation proves itself, so it may come from anywhere. But whoever can make a program call
// Revoke can fill the list, up to [MaxRevoked]. Call it for what a person, or a service of yours,
// hands over, and not for what strangers send.
//
// Errors: [ErrNotRevocation], [ErrTooManyRevoked], or that of storing it.
func (k *KnownPeers) Revoke(p *keys.PublicIdentity) error {
	if empty(p) {
		return missing.Arg("PublicIdentity")
	}
	if !p.Revoked() {
		return ErrNotRevocation
	}
	return k.change(func(n snapshot) (snapshot, error) {
		if n.state(p.Fingerprint()) == nil && n.revocations() >= MaxRevoked {
			return n, ErrTooManyRevoked
		}
		n.revoke(p.Fingerprint(), sha256.Sum256(p.Bytes()))
		return n, nil
	})
}

// revoke remembers for good that a root is withdrawn. Admissions that its successor had by succession
// alone go back to the root.
func (n *snapshot) revoke(root keys.Fingerprint, digest [sha256.Size]byte) {
	if s := n.state(root); s != nil && s.serial == revokedSerial {
		return // the root may sign any number of revocations
	}
	last := n.successorOf(root)
	s := n.track(root)
	s.serial, s.digest, s.successor = revokedSerial, digest, keys.Fingerprint{}
	n.move(last, root, func(l Level) (Level, bool) { return l, l < Verified })
}

func (n *snapshot) revocations() (count int) {
	for _, s := range n.roots {
		if s.serial == revokedSerial {
			count++
		}
	}
	return count
}

// Succeed takes in the statement of a known root and of its successor that the successor takes the
// root's place, wherever the root is admitted. The first succession of a root wins. What a person had
// verified is then at level [Succeeded]. Succeed returns an [*Error] for a root that is not known,
// has another successor, or was revoked, and for a successor that was revoked or was itself succeeded
// by the root.
func (k *KnownPeers) Succeed(s *Succession) error {
	if s == nil || s.raw == nil {
		return missing.Arg("Succession")
	}
	return k.change(func(n snapshot) (snapshot, error) {
		last := n.successorOf(s.next)
		old, next := n.state(s.old), n.state(last)
		switch {
		case old == nil:
			return n, &Error{Unknown, Expected{}, s.old, nil}
		case old.serial == revokedSerial:
			return n, &Error{Revoked, Expected{}, s.old, nil}
		case old.successor != keys.Fingerprint{} && old.successor != s.next:
			return n, &Error{Changed, Expected{}, s.next, []keys.Fingerprint{old.successor}}
		case last == s.old, next != nil && next.serial == revokedSerial:
			return n, &Error{Revoked, Expected{}, s.next, nil}
		}
		n.track(s.old).successor = s.next
		n.track(s.next)
		n.move(s.old, last, func(l Level) (Level, bool) { return min(l, Succeeded), true })
		return n, nil
	})
}

// successorOf returns the last root in the chain of successors that begins with this root. A root
// without a successor is the last itself.
func (n *snapshot) successorOf(root keys.Fingerprint) keys.Fingerprint {
	for range n.roots { // a list from elsewhere may go in a circle
		s := n.state(root)
		if s == nil || s.successor == (keys.Fingerprint{}) {
			break
		}
		root = s.successor
	}
	return root
}

// move gives the admissions of from to to. The function level returns the new level of each, and
// whether it moves at all.
func (n *snapshot) move(from, to keys.Fingerprint, level func(Level) (_ Level, moves bool)) {
	if from == to {
		return
	}
	for _, a := range slices.Clone(n.admissions) {
		l, moves := level(a.level)
		if a.root != from || !moves {
			continue
		}
		n.remove(func(b admission) bool { return a == b })
		n.put(admission{a.scope, to, l})
	}
}

// RefuseRevoked returns a Verifier that refuses every root that the list knows to be revoked, and
// older statements of roots that it knows. It asks v about all others. It is for [Pinned], an
// [Authority] and the application's own Verifiers, which remember less.
func (k *KnownPeers) RefuseRevoked(v Verifier) Verifier { return refusing{k, v} }

type refusing struct {
	known *KnownPeers
	next  Verifier
}

func (r refusing) Verify(ctx context.Context, want Expected, got *keys.PublicIdentity) error {
	if r.next == nil {
		return missing.Arg("Verifier")
	}
	if r.known == nil {
		return stranger(want, got)
	}
	refused := r.known.learn(want, got, func(*snapshot) error { return nil })
	if refused != nil && !outdated(refused) {
		return refused
	}
	if err := r.next.Verify(ctx, want, got); err != nil {
		return err
	}
	return refused
}

// outdated reports whether only the statement is refused, and not its root.
func outdated(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Reason == Expired || e.Reason == NotYetValid || e.Reason == RolledBack)
}

// OnChange makes the list and the Verifier behind it call f after a change.
func (r refusing) OnChange(f func()) (stop func()) {
	first, second := r.known.OnChange(f), onChange(r.next, f)
	return func() { first(); second() }
}

// Several returns what Several of the Verifier behind it returns. Package peer asks.
func (r refusing) Several() bool {
	pins, ok := r.next.(interface{ Several() bool })
	return ok && pins.Several()
}
