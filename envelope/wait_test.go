//go:build !js

package envelope

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// Messages wait in a queue for nearly as long as may be, while both ends renew their
// statements and rotate, and the guard is stored each day. All open, once.
func TestMessagesThatWaitForWeeks(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		shared, guards, queue := sharedKeyset(t), []*ReplayGuard{anyTime(), anyTime(), anyTime()}, make(map[[2]int][]byte)
		alice, bob := testStore(t, "alice"), testStore(t, "bob")
		if err := alice.PutSharedKeyset("s", shared); err != nil {
			t.Fatal(err)
		}
		for today := 0; today < 76; today += 2 {
			for _, s := range []*keystore.Store{alice, bob} {
				if _, err := s.Rotate(keystore.DefaultRotation); err != nil {
					t.Fatal(err)
				}
			}
			for kind := range guards {
				l := guarded(waitingLink(kind, shared, alice.Identity(), bob.Identity()), guards[kind], MaxAgeLimit)
				l.Archive = true
				queue[[2]int{kind, today}] = seal(t, &l.Sealer, "m")
				if sealed := queue[[2]int{kind, today - 28}]; sealed != nil {
					if _, _, err := l.Open(nil, sealed); err != nil {
						t.Fatalf("kind %d, day %d: %v", kind, today, ReasonOf(err))
					}
					expectReason(t, &l.Opener, sealed, ReasonReplay, "again")
				}
				if sealed := queue[[2]int{kind, today - 32}]; sealed != nil {
					expectReason(t, &l.Opener, sealed, ReasonTime, "days later")
				}
				guards[kind] = made(ParseReplayGuard(guards[kind].Bytes()))
			}
			time.Sleep(2 * day)
		}
		if n := len(bob.Identity().Keys()); n < 4 {
			t.Errorf("%d keys: the test rotates nothing", n)
		}
	})
}

// waitingLink makes Sealer and Opener anew, of the statements of today.
func waitingLink(kind int, shared *keys.SharedKeyset, from, to *keys.Identity) link {
	switch kind {
	case 0:
		return link{"", Sealer{Shared: shared, Party: "a", ToParty: "b"}, Opener{Shared: shared, Party: "b", FromParty: "a"}}
	case 1:
		return link{"", Sealer{Shared: shared, From: from, ToParty: "b"}, Opener{Shared: shared, Party: "b", Identity: to, From: from.Public()}}
	}
	return link{"", Sealer{From: from, To: []*keys.PublicIdentity{to.Public()}}, Opener{Identity: to, From: from.Public()}}
}
