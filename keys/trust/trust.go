// Package trust decides whether a peer is the one that the caller meant to reach.
//
// Most programs name the peers that they mean, or remember the ones that a person admitted:
//
//	verifier := trust.Pinned(fingerprint)   // these and nobody else
//	verifier := store.KnownPeers()          // whom the user admitted, where it was admitted
//
// What a [Verifier] says of everybody else is an [Error]. The application asks a person, or an
// [Authority], and tries again.
package trust

import (
	"time"

	"github.com/hopseal/hopseal/keys"
)

// The declarations are in package keys until its Store, which holds known peers, has a package
// of its own.
type (
	Verifier       = keys.Verifier
	ChangeNotifier = keys.ChangeNotifier
	Role           = keys.Role
	Expected       = keys.Expected
	Error          = keys.TrustError
	Reason         = keys.TrustReason
	KnownPeers     = keys.KnownPeers
	KnownPeer      = keys.KnownPeer
	Level          = keys.TrustLevel
	Authority      = keys.Authority
	Succession     = keys.Succession
)

const (
	RoleServer = keys.RoleServer
	RoleClient = keys.RoleClient
	RoleMember = keys.RoleMember

	Unknown     = keys.TrustUnknown
	Changed     = keys.TrustChanged
	Revoked     = keys.TrustRevoked
	Expired     = keys.TrustExpired
	RolledBack  = keys.TrustRolledBack
	NotYetValid = keys.TrustNotYetValid

	FirstUse  = keys.TrustFirstUse
	Succeeded = keys.TrustSucceeded
	Verified  = keys.TrustVerified

	MaxRevoked = keys.MaxRevoked
)

var (
	ErrKnownPeers     = keys.ErrKnownPeers
	ErrNotRevocation  = keys.ErrNotRevocation
	ErrTooManyRevoked = keys.ErrTooManyRevoked
	ErrVoucher        = keys.ErrVoucher
	ErrSuccession     = keys.ErrSuccession
	ErrSafetyCode     = keys.ErrSafetyCode
	ErrSafetyMismatch = keys.ErrSafetyMismatch
)

func Pinned(roots ...keys.Fingerprint) Verifier             { return keys.Pinned(roots...) }
func InsecureAnyone() Verifier                              { return keys.InsecureTrustAnyone() }
func ParseKnownPeers(b []byte) (*KnownPeers, error)         { return keys.ParseKnownPeers(b) }
func NewAuthority(p *keys.PublicIdentity) *Authority        { return keys.NewAuthority(p) }
func ParseSuccession(b []byte) (*Succession, error)         { return keys.ParseSuccession(b) }
func Succeed(old, next *keys.Identity) (*Succession, error) { return old.Succeed(next) }
func SafetyNumber(a, b keys.Fingerprint) string             { return keys.SafetyNumber(a, b) }
func SafetyCode(own, peer keys.Fingerprint) string          { return keys.SafetyCode(own, peer) }

func ScanSafetyCode(code string, own, peer keys.Fingerprint) error {
	return keys.ScanSafetyCode(code, own, peer)
}

func Vouch(authority *keys.Identity, at Expected, root keys.Fingerprint, expires time.Time) ([]byte, error) {
	return authority.Vouch(at, root, expires)
}
