package keys

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// ErrVoucher is returned for bytes that are not a voucher of the authority.
var ErrVoucher = errors.New("keys: not a valid voucher of this authority")

const (
	maxVoucherSize = 2048
)

// Vouch signs, with the authority's primary signing key, that the identity with
// the given root is the one to expect there until expires. The result, at most 2
// KB, is public; verifiers take it with [Authority.Add].
//
//	voucher   = array(2) [ statement bin, signature bin 64 ]
//	statement = array(9) [ version=1, authority bin 32, signing key id bin 32, address str, room str,
//	                       role, root's fingerprint bin 32, issued s, expires s ]
func (id *Identity) Vouch(at Expected, root Fingerprint, expires time.Time) ([]byte, error) {
	now := time.Now()
	switch {
	case at.Address == "" && at.Room == "" && at.Role != RoleClient:
		return nil, errors.New("keys: a voucher is for an address, a room, or clients")
	case len(at.Address) > maxPlaceSize || len(at.Room) > maxPlaceSize:
		return nil, fmt.Errorf("keys: an address or room in a voucher has at most %d bytes", maxPlaceSize)
	case !utf8.ValidString(at.Address) || !utf8.ValidString(at.Room):
		return nil, errors.New("keys: an address or room in a voucher is UTF-8")
	case !expires.After(now):
		return nil, errors.New("keys: the voucher would have expired")
	}
	v := voucher{authority: id.Fingerprint(), key: id.Public().VerifyingKey().ID(), place: at, root: root,
		issued: uint64(now.Unix()), expires: uint64(expires.Unix())}
	v.place.Fingerprint = Fingerprint{}
	statement := v.append(nil)
	sig, err := id.Signer().Sign(label.Voucher.With(statement))
	if err != nil {
		return nil, fmt.Errorf("keys: the authority does not sign: %w", err)
	}
	return strict.AppendBin(strict.AppendBin(strict.AppendArray(nil, 2), statement), sig), nil
}

// voucher says that the identity with this root is the one to expect there.
type voucher struct {
	authority       Fingerprint
	key             SigningKeyID
	place           Expected // without a fingerprint
	root            Fingerprint
	issued, expires uint64
}

func (v voucher) append(dst []byte) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 9), 1)
	dst = strict.AppendBin(dst, v.authority[:])
	dst = strict.AppendBin(dst, v.key[:])
	dst = strict.AppendStr(dst, v.place.Address)
	dst = strict.AppendStr(dst, v.place.Room)
	dst = strict.AppendUint(dst, uint64(v.place.Role))
	dst = strict.AppendBin(dst, v.root[:])
	return strict.AppendUint(strict.AppendUint(dst, v.issued), v.expires)
}

func parseVoucher(b []byte) (v voucher, ok bool) {
	r := strict.NewReader(b)
	r.Array(9)
	version := r.Uint()
	copy(v.authority[:], r.Bin(32, 32))
	copy(v.key[:], r.Bin(32, 32))
	v.place.Address, v.place.Room = r.Str(0, maxPlaceSize), r.Str(0, maxPlaceSize)
	role := r.Uint()
	copy(v.root[:], r.Bin(32, 32))
	v.issued, v.expires = r.Uint(), r.Uint()
	v.place.Role = Role(min(role, uint64(RoleMember)+1))
	ok = r.Done() == nil && version == 1 && v.place.Role <= RoleMember && v.issued < v.expires && v.expires < unixtime.Limit
	return v, ok
}

// An Authority trusts the identities that one identity, an organisation's, has
// vouched for: each for the address, room or role that the voucher names, and
// until it expires. Of a root that is revoked it takes no earlier statement any more; it
// forgets that with the process, see [KnownPeers.RefuseRevoked]. It is safe for concurrent
// use.
type Authority struct {
	mu       sync.Mutex // guards what follows
	identity *PublicIdentity
	vouchers []voucher
	revoked  map[Fingerprint]struct{}

	notices notices
}

// NewAuthority returns an Authority without vouchers. The caller has made sure
// that the identity is the organisation's. It panics where there is none.
func NewAuthority(identity *PublicIdentity) *Authority {
	if identity.empty() {
		panic(errNil("PublicIdentity"))
	}
	return &Authority{identity: identity}
}

// Update takes a newer statement of the authority, which may be its revocation:
// then nobody is trusted any more. It returns a [*TrustError] for another root or
// an older statement.
func (a *Authority) Update(p *PublicIdentity) error {
	if err := a.update(p); err != nil {
		return err
	}
	a.notices.tell()
	return nil
}

func (a *Authority) update(p *PublicIdentity) error {
	if p.empty() {
		return errNil("PublicIdentity")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case p.Fingerprint() != a.identity.Fingerprint():
		return &TrustError{TrustChanged, Expected{}, p.Fingerprint(), []Fingerprint{a.identity.Fingerprint()}}
	case p.Serial() < a.identity.Serial():
		return &TrustError{TrustRolledBack, Expected{}, p.Fingerprint(), nil}
	case p.Serial() == a.identity.Serial() && !p.Equal(a.identity):
		return &TrustError{TrustChanged, Expected{}, p.Fingerprint(), nil}
	}
	a.identity = p
	return nil
}

// Add takes a voucher, which may come from anywhere: it must be signed by a key
// that was the authority's when it was issued. It returns [ErrVoucher] for
// anything else. Vouchers that have expired are dropped as others come in.
func (a *Authority) Add(b []byte) error {
	v, sig, err := readVoucher(b)
	if err != nil {
		return err
	}
	return a.add(v, sig)
}

// add changes no yes into a no, so nobody is told.
func (a *Authority) add(v voucher, sig []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, listed := a.identity.VerifyingKeyByID(v.key)
	if v.authority != a.identity.Fingerprint() || !listed || !key.ValidAt(time.Unix(int64(v.issued), 0)) ||
		!key.Verify(label.Voucher.With(v.append(nil)), sig) {
		return ErrVoucher
	}
	now := uint64(time.Now().Unix())
	kept := a.vouchers[:0]
	for _, old := range a.vouchers {
		if old.expires > now && (old.place != v.place || old.root != v.root) {
			kept = append(kept, old)
		}
	}
	a.vouchers = append(kept, v)
	return nil
}

func readVoucher(b []byte) (v voucher, sig []byte, err error) {
	defer version.Later(&err, b, 1)
	if len(b) > 2*maxVoucherSize {
		return v, nil, ErrVoucher
	}
	r := strict.NewReader(bytes.Clone(b))
	r.Array(2)
	statement := r.Bin(1, 2*maxVoucherSize)
	sig = r.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	v, ok := parseVoucher(statement)
	if r.Done() != nil || !ok {
		return v, nil, ErrVoucher
	}
	return v, sig, nil
}

// Revoke takes in a revocation, as [KnownPeers.Revoke] does: whatever is vouched for its
// root counts no more. Errors: [ErrNotRevocation], [ErrTooManyRevoked].
func (a *Authority) Revoke(p *PublicIdentity) error {
	if p.empty() {
		return errNil("PublicIdentity")
	}
	if !p.Revoked() {
		return ErrNotRevocation
	}
	if !a.revoke(p.Fingerprint()) {
		return ErrTooManyRevoked
	}
	a.notices.tell()
	return nil
}

// revoke reports whether there is room, as there always is for a root that is vouched for.
func (a *Authority) revoke(root Fingerprint) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.revoked) >= MaxRevoked && !a.vouches(root) {
		return false
	}
	if a.revoked == nil {
		a.revoked = map[Fingerprint]struct{}{}
	}
	a.revoked[root] = struct{}{}
	return true
}

// vouches is called under mu.
func (a *Authority) vouches(root Fingerprint) bool {
	return slices.ContainsFunc(a.vouchers, func(v voucher) bool { return v.root == root })
}

// heard remembers a revocation that is shown instead of an identity, if there is a voucher
// for its root. A stranger can make any number of others.
func (a *Authority) heard(p *PublicIdentity) {
	a.mu.Lock()
	_, known := a.revoked[p.Fingerprint()]
	news := !known && a.vouches(p.Fingerprint())
	a.mu.Unlock()
	if news && a.revoke(p.Fingerprint()) {
		a.notices.tell()
	}
}

// OnChange is described at [ChangeNotifier].
func (a *Authority) OnChange(f func()) (stop func()) { return a.notices.add(f) }

// Verify returns nil for an identity with a voucher for what was expected. Where
// the authority vouches for another one there, the reason is [TrustChanged].
func (a *Authority) Verify(_ context.Context, want Expected, got *PublicIdentity) error {
	now := time.Now()
	if got != nil && got.Revoked() {
		a.heard(got)
	}
	if err := checkMeant(want, got); err != nil {
		return err
	}
	if err := a.expects(want, got, now); err != nil {
		return err
	}
	return lapsed(want, got, now)
}

// expects reports whether somebody is vouched for.
func (a *Authority) expects(want Expected, got *PublicIdentity, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, itself := a.revoked[a.identity.Fingerprint()]
	if _, revoked := a.revoked[got.Fingerprint()]; revoked || itself || a.identity.Revoked() {
		return &TrustError{TrustRevoked, want, got.Fingerprint(), nil}
	}
	place := want
	place.Fingerprint = Fingerprint{}
	var known []Fingerprint
	var lapsed *voucher // that has expired, or begins later
	from, to := now.Add(ClockSkew).Unix(), now.Unix()
	for _, v := range a.vouchers {
		switch current := to < int64(v.expires) && from >= int64(v.issued); {
		case v.place != place:
		case v.root != got.Fingerprint() && current:
			known = append(known, v.root)
		case v.root == got.Fingerprint() && current:
			return nil
		case v.root == got.Fingerprint():
			lapsed = &v
		}
	}
	switch {
	case known != nil && want.Address != "":
		return &TrustError{TrustChanged, want, got.Fingerprint(), known}
	case lapsed != nil:
		return lapsed.lapsed(&TrustError{TrustExpired, want, got.Fingerprint(), known}, now)
	}
	return &TrustError{TrustUnknown, want, got.Fingerprint(), nil}
}
