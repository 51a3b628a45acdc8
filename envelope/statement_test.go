//go:build !js

package envelope

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// TestWhatWaitsOpensHoweverOftenTheSenderRotates has a sender that changes keys each day for five
// weeks, and a receiver whose messages have waited for as long as may be. Only a statement that is
// older than the message's key refuses it, and says so.
func TestWhatWaitsOpensHoweverOftenTheSenderRotates(t *testing.T) {
	slowtest.Skip(t)
	synctest.Test(t, func(t *testing.T) {
		alice, bob := testStore(t, "alice"), identity(t, "bob")
		policy := keystore.RotationPolicy{Age: 24 * time.Hour, Lead: time.Hour}
		type letter struct {
			sealed    []byte
			statement *keys.PublicIdentity // that was in use
		}
		var waiting []letter
		rotate := func() {
			if _, err := alice.Rotate(policy); err != nil {
				t.Fatal(err)
			}
		}
		for range 34 {
			rotate()
			s := Sealer{From: alice.Identity(), To: []*keys.PublicIdentity{bob.Public()}}
			waiting = append(waiting, letter{seal(t, &s, "m"), alice.Identity().Public()})
			if err := bob.Renew(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(23 * time.Hour)
			rotate() // makes the next key
			time.Sleep(time.Hour)
		}
		now, oldest := alice.Identity().Public(), waiting[0].statement
		o := Opener{Identity: bob, From: now, MaxAge: MaxAgeLimit, InsecureAllowReplay: true, Archive: true}
		for i, l := range waiting[len(waiting)-29:] {
			if _, _, err := o.Open(nil, l.sealed); err != nil {
				t.Errorf("what has waited for %d days: %v", 29-i, ReasonOf(err))
			}
		}
		o.MaxAge = 0
		for n, want := range map[int]Reason{0: 0, 4: ReasonUnlisted, 33: ReasonExpired} {
			o.From = oldest
			if _, _, err := o.Open(nil, waiting[n].sealed); err != nil && !errors.Is(err, ErrOpen) || ReasonOf(err) != want {
				t.Errorf("day %d by the statement of day 0: %v, %v", n, err, ReasonOf(err))
			}
		}
		o.From = now
		if _, _, err := o.Open(nil, waiting[0].sealed); ReasonOf(err) != ReasonProof {
			t.Errorf("by a statement that lists the key no more: %v", ReasonOf(err))
		}
		if size := len(now.Bytes()); size > 3000 {
			t.Errorf("a statement has %d bytes", size)
		} else {
			t.Logf("%d signing keys, %d bytes", len(now.VerifyingKeys()), size)
		}
	})
}
