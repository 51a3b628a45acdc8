package trust

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/hopseal/hopseal/keys"
)

type pinned []keys.Fingerprint

// Pinned trusts exactly the identities with the given fingerprints, wherever they answer. Pin several
// for one address at which any of them may answer. A caller that dials several of them sets
// [Expected.Fingerprint], or one could answer for another (A06). If there are several and no
// fingerprint is expected, Pinned refuses members that are told apart by a name ([RoleMember] with an
// Address): package peer has Config.Members for that. Pinned remembers nothing: an older statement of
// a pinned root counts until it expires.
func Pinned(roots ...keys.Fingerprint) Verifier {
	p := slices.Clone(roots)
	slices.SortFunc(p, func(a, b keys.Fingerprint) int { return bytes.Compare(a[:], b[:]) })
	return pinned(slices.Compact(p))
}

func (p pinned) Verify(_ context.Context, want Expected, got *keys.PublicIdentity) error {
	if err := checkPeer(want, got); err != nil {
		return err
	}
	unknown := &Error{Unknown, want, got.Fingerprint(), nil}
	switch {
	case !slices.Contains(p, got.Fingerprint()):
		return unknown
	case p.Several() && want.Role == RoleMember && want.Address != "" && want.Fingerprint == keys.Fingerprint{}:
		return &namelessError{unknown}
	}
	return checkTime(want, got, time.Now())
}

// Immediate marks a Verify that waits for nothing. Package e2e then calls Verify in the goroutine of
// the handshake, which saves two goroutines.
func (p pinned) Immediate() {}

// Several reports whether more than one identity is pinned. Package peer asks.
func (p pinned) Several() bool { return len(p) > 1 }

// A namelessError refuses a pinned identity if nobody has said that it is the one with the name that
// was asked for.
type namelessError struct{ cause *Error }

func (*namelessError) Error() string {
	return "keys: several identities are pinned, and not which of them goes by which name: set Expected.Fingerprint, or Members in peer.Config"
}

func (e *namelessError) Unwrap() error { return e.cause }

type anyone struct{}

// InsecureAnyone trusts every identity that is neither revoked nor expired, and so whoever is in the
// middle. It is for tests and demonstrations.
func InsecureAnyone() Verifier { return anyone{} }

func (anyone) Verify(_ context.Context, want Expected, got *keys.PublicIdentity) error {
	return check(want, got, time.Now())
}
