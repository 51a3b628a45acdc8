package trust

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// Role is what a peer is expected to be.
type Role byte

const (
	RoleServer Role = iota + 1 // what a client dialled
	RoleClient                 // who dialled a server
	RoleMember                 // of a room
)

// Expected says whom the caller meant to reach. A Verifier decides whether the identity in hand is
// that one, not whether it is somebody known.
type Expected struct {
	Address     string           // what was dialled, "" for a server's clients and in rooms
	Room        string           // the room's name or id, "" outside rooms
	Role        Role             // what the peer is expected to be
	Fingerprint keys.Fingerprint // the root that it must have; zero if any will do
}

// A Verifier decides whether a peer's identity is the one that the caller meant to reach. It returns
// nil if the answer is yes, and an error that is or wraps an [*Error] if the answer is no. It never
// waits for a person: the application asks, changes what the Verifier knows, and tries again.
//
// It gives the reasons [Expired], [NotYetValid] and [RolledBack] only if nothing else is wrong. For
// these package e2e refuses a new session, but ends no open one: a clock may be wrong.
//
// This package has [Pinned], [KnownPeers], [Authority] and [InsecureAnyone].
type Verifier interface {
	Verify(ctx context.Context, want Expected, got *keys.PublicIdentity) error
}

// stranger is the answer of a Verifier that nobody has made, such as a nil [KnownPeers]: it trusts
// nobody.
func stranger(want Expected, got *keys.PublicIdentity) error {
	if err := checkPeer(want, got); err != nil {
		return err
	}
	return &Error{Unknown, want, got.Fingerprint(), nil}
}

// check refuses an identity that no Verifier accepts, whatever the Verifier knows. A ChangeNotifier
// calls checkPeer first and checkTime last: package e2e ends no session for a statement that does not
// count now.
func check(want Expected, got *keys.PublicIdentity, now time.Time) error {
	if err := checkPeer(want, got); err != nil {
		return err
	}
	return checkTime(want, got, now)
}

// checkPeer refuses an identity that is revoked, or is not the one with the expected fingerprint.
func checkPeer(want Expected, got *keys.PublicIdentity) error {
	switch {
	case empty(got):
		return missing.Arg("PublicIdentity")
	case got.Revoked():
		return &Error{Revoked, want, got.Fingerprint(), nil}
	case want.Fingerprint != keys.Fingerprint{} && got.Fingerprint() != want.Fingerprint:
		return &Error{Changed, want, got.Fingerprint(), []keys.Fingerprint{want.Fingerprint}}
	}
	return nil
}
