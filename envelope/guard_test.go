package envelope

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// anyTime returns a guard that has nothing to refuse, for keys of any origin.
func anyTime() *ReplayGuard { return newReplayGuard(time.Time{}) }

// accept asks a guard as an Opener does that sets no MaxAge.
func (g *ReplayGuard) accept(h Header, now time.Time) error { return g.claim(h, replayWindow, now) }

// One guard in memory serves Openers with several MaxAges, and over a restart: what
// one of them still accepts is not forgotten for another's sake.
func TestGuardRemembersForTheLongestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := anyTime()
		short, long := guarded(links(t)[2], guard, 0), guarded(links(t)[2], guard, 24*time.Hour)
		var waiting, opened [][]byte
		for range 5 {
			opened, waiting = append(opened, seal(t, &long.Sealer, "m")), append(waiting, seal(t, &long.Sealer, "m"))
		}
		for _, sealed := range opened {
			if _, _, err := long.Open(nil, sealed); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(6 * time.Hour)
		if _, _, err := short.Open(nil, seal(t, &short.Sealer, "m")); err != nil {
			t.Fatal(err)
		}
		long.Replay = made(ParseReplayGuard(made(ParseReplayGuard(guard.Bytes())).Bytes()))
		for i := range opened {
			expectReason(t, &long.Opener, opened[i], ReasonReplay, "opened six hours ago")
			if _, _, err := long.Open(nil, waiting[i]); err != nil {
				t.Error("has waited for six hours:", ReasonOf(err))
			}
		}
	})
}

// A MaxAge that is raised later lets nothing in again that a guard has forgotten.
func TestRaisedMaxAgeOpensNoReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := anyTime()
		l := guarded(links(t)[2], guard, 0)
		sealed := seal(t, &l.Sealer, "m")
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		l.Replay, l.MaxAge = made(ParseReplayGuard(guard.Bytes())), MaxAgeLimit
		expectReason(t, &l.Opener, sealed, ReasonTime, "forgotten")
	})
}

// Where somebody wraps a guard, to count say, it decides as it does bare.
func TestGuardInAWrapper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := anyTime()
		l := guarded(links(t)[2], cacheFunc(guard.Claim), time.Hour)
		sealed, late := seal(t, &l.Sealer, "m"), seal(t, &l.Sealer, "m")
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Fatal(err)
		}
		expectReason(t, &l.Opener, sealed, ReasonReplay, "again")
		time.Sleep(time.Hour)
		if _, _, err := l.Open(nil, late); err != nil {
			t.Error("an hour old:", ReasonOf(err))
		}
		l.Replay = cacheFunc(new(ReplayGuard).Claim)
		if _, _, err := l.Open(nil, late); !errors.Is(err, errNoGuard) || !errors.Is(err, ErrReplayUnavailable) {
			t.Errorf("a zero guard: %v", err)
		}
		far := ReplayClaim{Header: Header{ID: newMessageID(), Time: time.Now()}, Until: time.Now().Add(1000 * time.Hour)}
		if first, err := guard.Claim(t.Context(), far); !first || err != nil {
			t.Error(first, err)
		}
		if _, err := ParseReplayGuard(guard.Bytes()); err != nil {
			t.Error(err)
		}
	})
}

// A guard for each message opens nothing: the mistake shows at once. The first guard
// of new keys opens, a second one of the same keys does not, nor one of keys that
// were read.
func TestGuardPerMessageOpensNothing(t *testing.T) {
	for i := range 3 {
		l := links(t)[i] // with keys of its own
		fresh := func() *ReplayGuard { return FirstReplayGuard(l.Opener.Identity) }
		if l.Opener.Shared != nil {
			fresh = func() *ReplayGuard { return FirstReplayGuard(l.Opener.Shared) }
		}
		l = guarded(l, fresh(), MaxAgeLimit)
		sealed := seal(t, &l.Sealer, "m")
		if _, _, err := l.Open(nil, sealed); err != nil {
			t.Errorf("%s: the first guard: %v", l.name, ReasonOf(err))
		}
		for range 3 {
			l.Replay = fresh()
			expectReason(t, &l.Opener, sealed, ReasonTime, "another guard of the same keys, a replay")
			expectReason(t, &l.Opener, seal(t, &l.Sealer, "m"), ReasonTime, "another guard of the same keys")
			l.Replay = NewReplayGuard()
			expectReason(t, &l.Opener, seal(t, &l.Sealer, "m"), ReasonTime, "a guard that begins now")
		}
	}
	for _, g := range []*ReplayGuard{FirstReplayGuard[*keys.Identity](nil), FirstReplayGuard(new(keys.SharedKeyset))} {
		if now := time.Now(); g.accept(Header{ID: newMessageID(), Time: now}, now) == nil {
			t.Error("the guard of keys that nobody generated opens")
		}
	}
}

func TestNilGuardInTheInterface(t *testing.T) {
	l := links(t)[2]
	sealed := seal(t, &l.Sealer, "m")
	for _, insecure := range []bool{false, true} {
		l.Replay, l.InsecureAllowReplay = (*ReplayGuard)(nil), insecure
		if _, _, err := l.Open(nil, sealed); err != errNoGuard {
			t.Error(err)
		}
	}
}
