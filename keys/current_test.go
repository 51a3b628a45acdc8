package keys

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An identity of one's own says by which name it cannot be used, and what to do.
func TestCheckNamesWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := testIdentity(t, "me")
		begin, end := id.Public().Issued(), id.Public().Expires()
		gone := newIdentity(must(id.state.Load().revoked(begin)))
		for _, c := range []struct {
			of   *Identity
			at   time.Time
			want error
			says string
		}{
			{id, begin.Add(-ClockSkew), nil, ""},
			{id, begin.Add(-ClockSkew - time.Second), ErrNotYetValid, "was issued at 2000-01-01T00:00:00Z, which is still to come"},
			{id, end.Add(-time.Second), nil, ""},
			{id, end, ErrExpired, "expired at 2000-01-31T00:00:00Z, 0 seconds ago"},
			{id, end.Add(50 * time.Hour), ErrExpired, ", 2 days ago, and peers refuse it: renew it with 'hopseal key rotate' or Identity.Renew, and have Store.Run keep it alive"},
			{gone, begin, ErrRevoked, "make a new one"},
			{gone, end, ErrRevoked, "make a new one"},
		} {
			err := c.of.Check(c.at)
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("at %v: %v, want %v", c.at, err, c.want)
			}
		}
		if err := new(Identity).Check(begin); err == nil {
			t.Error("the zero Identity is fine")
		}
	})
}

// A peer's statement is told apart by what is wrong with it, with the times, and a voucher that
// has expired is not taken for the peer's fault.
func TestLapsedStatementsAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, org := testIdentity(t, "peer"), testIdentity(t, "org")
		at := Expected{Room: "r", Role: RoleMember}
		authority := NewAuthority(org.Public())
		if err := authority.Add(must(org.Vouch(at, peer.Fingerprint(), time.Now().Add(time.Hour)))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		err := authority.Verify(t.Context(), at, peer.Public())
		if reason(err) != TrustExpired || !strings.Contains(err.Error(), "the voucher for peer "+peer.Fingerprint().String()+" expired at 2000-01-01T01:00:00Z: its authority") {
			t.Error(err)
		}
		retired := must(ParsePublic(signed(t, peer, func(p *PublicIdentity) {
			p.serial = 2
			p.signing = []VerifyingKey{p.signing[0].until(p.issued.Add(time.Minute))}
		})))
		for _, c := range []struct {
			wait time.Duration
			got  *PublicIdentity
			want TrustReason
			says string
		}{
			{0, retired, TrustExpired, " lists a signing key that is not in use at this time"},
			{MaxLifetime, peer.Public(), TrustExpired, " expired at 2000-01-31T00:00:00Z, 2 hours ago by this clock"},
		} {
			time.Sleep(c.wait)
			err := Pinned(peer.Fingerprint()).Verify(t.Context(), at, c.got)
			if reason(err) != c.want || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrExpired) {
				t.Errorf("%v, want %v with %q", err, c.want, c.says)
			}
		}
	})
}

// A program that keeps its identity in memory stays known for a year, also over a clock that was
// wrong.
func TestKeepAlive(t *testing.T) {
	if err := new(Identity).KeepAlive(t.Context()); err == nil || !strings.Contains(err.Error(), "the Identity is empty") {
		t.Errorf("of an empty one: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		id := testIdentity(t, "me")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- id.KeepAlive(ctx) }()
		serials := map[uint64]bool{}
		for range 365 {
			time.Sleep(24 * time.Hour)
			serials[id.Public().Serial()] = true
			if left := time.Until(id.Public().Expires()); id.Check(time.Now()) != nil || left < 14*24*time.Hour {
				t.Fatalf("%v left", left)
			}
		}
		if n := len(serials); n < 24 || n > 26 {
			t.Errorf("%d statements in a year", n)
		}
		ahead := must(id.state.Load().renewed(time.Now().Add(1000 * time.Hour)))
		id.state.Store(ahead)
		time.Sleep(2 * time.Hour)
		if err := id.Check(time.Now()); err != nil || id.Public().Serial() <= ahead.public.Serial() {
			t.Errorf("from the future: %v", err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		id.state.Store(must(id.state.Load().revoked(time.Now())))
		if err := id.KeepAlive(t.Context()); !errors.Is(err, ErrRevoked) || id.Public().Serial() != math.MaxUint64 {
			t.Error(err)
		}
	})
}
