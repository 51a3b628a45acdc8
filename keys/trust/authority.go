package trust

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// An Authority trusts the identities that one identity, an organisation's, has vouched for. It trusts
// each for the address, room or role that the voucher names, until the voucher expires. After a root
// was revoked, it trusts no earlier statement of that root. It remembers that in memory only, see
// [KnownPeers.RefuseRevoked]. It is safe for concurrent use.
type Authority struct {
	mu       sync.Mutex // guards what follows
	identity *keys.PublicIdentity
	vouchers []voucher
	revoked  map[keys.Fingerprint]struct{}

	listeners listeners
}

// NewAuthority returns an Authority without vouchers. The caller has made sure that the identity is
// the organisation's. NewAuthority panics if the identity is nil or empty.
func NewAuthority(identity *keys.PublicIdentity) *Authority {
	if empty(identity) {
		panic(missing.Arg("PublicIdentity"))
	}
	return &Authority{identity: identity}
}

// Update takes in a newer statement of the authority. If that is its revocation, nobody is trusted
// any more. Update returns an [*Error] for another root or an older statement.
func (a *Authority) Update(p *keys.PublicIdentity) error {
	if err := a.update(p); err != nil {
		return err
	}
	a.listeners.call()
	return nil
}

func (a *Authority) update(p *keys.PublicIdentity) error {
	if empty(p) {
		return missing.Arg("PublicIdentity")
	}
	if a.unmade() {
		return missing.Arg("Authority")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case p.Fingerprint() != a.identity.Fingerprint():
		return &Error{Changed, Expected{}, p.Fingerprint(), []keys.Fingerprint{a.identity.Fingerprint()}}
	case p.Serial() < a.identity.Serial():
		return &Error{RolledBack, Expected{}, p.Fingerprint(), nil}
	case p.Serial() == a.identity.Serial() && !p.Equal(a.identity):
		return &Error{Changed, Expected{}, p.Fingerprint(), nil}
	}
	a.identity = p
	return nil
}

// Add takes in a voucher, which may come from anywhere. The key that signed it must have been the
// authority's when the voucher was issued. Add returns [ErrVoucher] for anything else. It also drops
// vouchers that have expired.
func (a *Authority) Add(b []byte) error {
	if a.unmade() {
		return missing.Arg("Authority")
	}
	v, sig, err := readVoucher(b)
	if err != nil {
		return err
	}
	return a.add(v, sig)
}

// add makes nobody less trusted, so it calls no listener.
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
		if old.expires > now && (old.at != v.at || old.root != v.root) {
			kept = append(kept, old)
		}
	}
	a.vouchers = append(kept, v)
	return nil
}

// Revoke takes in a revocation, as [KnownPeers.Revoke] does: no voucher for its root counts any more.
// Errors: [ErrNotRevocation], [ErrTooManyRevoked].
func (a *Authority) Revoke(p *keys.PublicIdentity) error {
	if a.unmade() {
		return missing.Arg("Authority")
	}
	if empty(p) {
		return missing.Arg("PublicIdentity")
	}
	if !p.Revoked() {
		return ErrNotRevocation
	}
	if !a.revoke(p.Fingerprint()) {
		return ErrTooManyRevoked
	}
	a.listeners.call()
	return nil
}

// revoke remembers a revoked root. It reports whether there is room. There always is for a root with
// a voucher.
func (a *Authority) revoke(root keys.Fingerprint) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.revoked) >= MaxRevoked && !a.vouches(root) {
		return false
	}
	if a.revoked == nil {
		a.revoked = map[keys.Fingerprint]struct{}{}
	}
	a.revoked[root] = struct{}{}
	return true
}

// isRevoked reports whether a root is remembered as revoked. The caller holds a.mu.
func (a *Authority) isRevoked(root keys.Fingerprint) bool {
	_, revoked := a.revoked[root]
	return revoked
}

// vouches reports whether there is a voucher for that root. The caller holds a.mu.
func (a *Authority) vouches(root keys.Fingerprint) bool {
	return slices.ContainsFunc(a.vouchers, func(v voucher) bool { return v.root == root })
}

// noteRevocation remembers a revocation that a peer shows as its identity, if there is a voucher for
// its root. It ignores others, since a stranger can make any number of them.
func (a *Authority) noteRevocation(p *keys.PublicIdentity) {
	a.mu.Lock()
	first := !a.isRevoked(p.Fingerprint()) && a.vouches(p.Fingerprint())
	a.mu.Unlock()
	if first && a.revoke(p.Fingerprint()) {
		a.listeners.call()
	}
}

// OnChange is described at [ChangeNotifier].
func (a *Authority) OnChange(f func()) (stop func()) {
	if a == nil {
		return noListener(f)
	}
	return a.listeners.add(f)
}

// unmade reports whether NewAuthority did not make a. Such an Authority trusts nobody.
func (a *Authority) unmade() bool { return a == nil || a.identity == nil }

// Verify returns nil for an identity with a voucher for what was expected. If the authority vouches
// for another one there, the reason is [Changed].
func (a *Authority) Verify(_ context.Context, want Expected, got *keys.PublicIdentity) error {
	if a.unmade() {
		return stranger(want, got)
	}
	now := time.Now()
	if got != nil && got.Revoked() {
		a.noteRevocation(got)
	}
	if err := checkPeer(want, got); err != nil {
		return err
	}
	if err := a.checkVoucher(want, got, now); err != nil {
		return err
	}
	return checkTime(want, got, now)
}

// checkVoucher refuses an identity without a voucher for what was expected.
func (a *Authority) checkVoucher(want Expected, got *keys.PublicIdentity, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isRevoked(got.Fingerprint()) || a.isRevoked(a.identity.Fingerprint()) || a.identity.Revoked() {
		return &Error{Revoked, want, got.Fingerprint(), nil}
	}
	where := want
	where.Fingerprint = keys.Fingerprint{}
	var known []keys.Fingerprint
	var outside *voucher // for got, but it does not count now
	from, to := now.Add(keys.ClockSkew).Unix(), now.Unix()
	for _, v := range a.vouchers {
		switch current := to < int64(v.expires) && from >= int64(v.issued); {
		case v.at != where:
		case v.root != got.Fingerprint() && current:
			known = append(known, v.root)
		case v.root == got.Fingerprint() && current:
			return nil
		case v.root == got.Fingerprint():
			outside = &v
		}
	}
	switch {
	case known != nil && want.Address != "":
		return &Error{Changed, want, got.Fingerprint(), known}
	case outside != nil:
		return outside.timeError(&Error{Expired, want, got.Fingerprint(), known}, now)
	}
	return &Error{Unknown, want, got.Fingerprint(), nil}
}
