package keys

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// Role is what a peer is expected to be.
type Role byte

const (
	RoleServer Role = iota + 1 // what a client dialled
	RoleClient                 // who dialled a server
	RoleMember                 // of a room
)

// Expected says whom the caller meant to reach. A Verifier answers whether the
// identity in hand is that one, not whether it is somebody known.
type Expected struct {
	Address     string      // what was dialled, "" for a server's clients and in rooms
	Room        string      // the room's name or id, "" outside rooms
	Role        Role        // what the peer is expected to be
	Fingerprint Fingerprint // the root that it must have; zero where any will do
}

// A Verifier decides whether a peer's identity is the one that the caller meant
// to reach. It returns nil, or an error that is or wraps a [*TrustError] when the
// answer is no. It never waits for a person: the application asks, changes what
// the Verifier knows, and tries again.
//
// It says [TrustExpired], [TrustNotYetValid] or [TrustRolledBack] only where nothing else is wrong.
// Package e2e refuses an attempt for these, and ends no session: a clock may be wrong.
//
// The shipped ones: [Pinned], [KnownPeers], and [InsecureTrustAnyone].
type Verifier interface {
	Verify(ctx context.Context, want Expected, got *PublicIdentity) error
}

// TrustReason is why an identity was not trusted.
type TrustReason byte

const (
	TrustUnknown     TrustReason = iota + 1 // never admitted for what was expected
	TrustChanged                            // another root is known for it, or another statement under the same serial
	TrustRevoked                            // its root has withdrawn it
	TrustExpired                            // its statement, or the voucher for it, is older than it says it may be
	TrustRolledBack                         // a newer statement of the same root has been seen
	TrustNotYetValid                        // its statement was issued in the future, by the clock of this end
)

func (r TrustReason) String() string {
	switch r {
	case TrustUnknown:
		return "unknown"
	case TrustChanged:
		return "changed"
	case TrustRevoked:
		return "revoked"
	case TrustExpired:
		return "expired"
	case TrustRolledBack:
		return "rolled back"
	case TrustNotYetValid:
		return "not yet valid"
	}
	return fmt.Sprintf("TrustReason(%d)", r)
}

// A TrustError says why a peer was not trusted.
type TrustError struct {
	Reason TrustReason
	Want   Expected
	Got    Fingerprint
	Known  []Fingerprint // what is known for Want, where Reason is TrustChanged
}

var trustAdvice = map[TrustReason]string{
	TrustUnknown:    "compare its fingerprint with the owner, then admit it",
	TrustChanged:    "somebody may be in the middle: compare fingerprints before going on",
	TrustRevoked:    "its owner has withdrawn it: ask for the new one",
	TrustExpired:    "its owner has to renew it; check both clocks",
	TrustRolledBack: "an older copy was presented: ask its owner for the current one",

	TrustNotYetValid: "its statement is from the future: check both clocks",
}

// Error names the fingerprint and what to do. It shows no text that the peer
// chose.
func (e *TrustError) Error() string {
	return fmt.Sprintf("keys: peer %s is %s: %s", e.Got, e.Reason, trustAdvice[e.Reason])
}

// Permanent reports that trying again changes nothing until a person acts.
func (e *TrustError) Permanent() bool { return true }

// checkCurrent refuses what no Verifier accepts. A Verifier that tells of changes asks for
// lapsed last: package e2e ends no session for that, see [ChangeNotifier].
func checkCurrent(want Expected, got *PublicIdentity, now time.Time) error {
	if err := checkMeant(want, got); err != nil {
		return err
	}
	return lapsed(want, got, now)
}

// checkMeant refuses whoever cannot be the one that is meant.
func checkMeant(want Expected, got *PublicIdentity) error {
	switch {
	case got.empty():
		return errNil("PublicIdentity")
	case got.Revoked():
		return &TrustError{TrustRevoked, want, got.Fingerprint(), nil}
	case want.Fingerprint != Fingerprint{} && got.Fingerprint() != want.Fingerprint:
		return &TrustError{TrustChanged, want, got.Fingerprint(), []Fingerprint{want.Fingerprint}}
	}
	return nil
}

// currentKey reports whether the primary signing key is in use at a moment that is no
// more than ClockSkew away.
func currentKey(p *PublicIdentity, now time.Time) bool {
	return p.VerifyingKey().window.meets(now.Add(-ClockSkew), now.Add(ClockSkew))
}

// ClockSkew is by how much two ends' clocks may differ.
const ClockSkew = 5 * time.Minute

type pinned []Fingerprint

// Pinned trusts exactly the identities with the given fingerprints, wherever
// they answer: several are for one place at which any of them may. A caller that
// dials several of them sets [Expected.Fingerprint], else one could answer for
// another (A06). Members that are told apart by a name ([RoleMember] with an
// Address) are refused where there are several and no fingerprint is expected:
// package peer has Config.Members for that. It remembers nothing: an older
// statement of a pinned root counts until it expires.
func Pinned(roots ...Fingerprint) Verifier {
	p := slices.Clone(roots)
	slices.SortFunc(p, func(a, b Fingerprint) int { return bytes.Compare(a[:], b[:]) })
	return pinned(slices.Compact(p))
}

func (p pinned) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	if err := checkMeant(want, got); err != nil {
		return err
	}
	unknown := &TrustError{TrustUnknown, want, got.Fingerprint(), nil}
	switch {
	case !slices.Contains(p, got.Fingerprint()):
		return unknown
	case p.Several() && want.Role == RoleMember && want.Address != "" && want.Fingerprint == Fingerprint{}:
		return &namelessError{unknown}
	}
	return lapsed(want, got, time.Now())
}

// Immediate says that Verify asks nobody and waits for nothing. Package e2e then calls it
// in place, which spares a handshake two goroutines.
func (p pinned) Immediate() {}

// Several reports whether more than one identity is pinned. Package peer asks.
func (p pinned) Several() bool { return len(p) > 1 }

// A namelessError refuses a pinned identity of which nobody has said that it is the one
// with the name that was asked for.
type namelessError struct{ cause *TrustError }

func (*namelessError) Error() string {
	return "keys: several identities are pinned, and not which of them goes by which name: set Expected.Fingerprint, or Members in peer.Config"
}

func (e *namelessError) Unwrap() error { return e.cause }

type anyone struct{}

// InsecureTrustAnyone trusts every identity that is neither revoked nor expired:
// whoever is in the middle is trusted too. For tests and demonstrations.
func InsecureTrustAnyone() Verifier { return anyone{} }

func (anyone) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	return checkCurrent(want, got, time.Now())
}
