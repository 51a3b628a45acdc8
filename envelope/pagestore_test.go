package envelope

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/pagestore"
	"github.com/hopseal/hopseal/keys"
)

// A16: a guard that was saved once, and its claims after that, refuses what the guard itself refuses.
func TestA16ClaimsAddUpToTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := links(t)
		g := anyTime()
		whole, log := g.Bytes(), g.follow()
		var opened [][]byte
		var parts [][]byte
		for i := range 60 {
			l := guarded(all[i%len(all)], g, time.Duration(i%3+1)*time.Hour)
			sealed := seal(t, &l.Sealer, "m")
			if _, _, err := l.Open(nil, sealed); err != nil {
				t.Fatal(err)
			}
			opened = append(opened, sealed)
			if i%7 == 0 {
				claims, ok := g.take(log)
				if !ok || len(claims) > 7*80 {
					t.Fatalf("%d bytes, %v", len(claims), ok)
				}
				parts = append(parts, claims)
			}
			time.Sleep(time.Minute)
		}
		last, _ := g.take(log)
		again, err := ParseReplayGuard(whole)
		if err != nil {
			t.Fatal(err)
		}
		for _, claims := range append(parts, last) {
			if err := again.apply(claims); err != nil {
				t.Fatal(err)
			}
		}
		for i, sealed := range opened {
			l := guarded(all[i%len(all)], again, time.Hour*3)
			expectReason(t, &l.Opener, sealed, ReasonReplay, "after claims were added")
		}
		if !bytes.Equal(again.Bytes(), g.Bytes()) {
			t.Error("the guards differ")
		}
	})
}

// Claims that make room raise the floor, as the guard itself does.
func TestManyClaimsOfOneSender(t *testing.T) {
	g := anyTime()
	whole, log := g.Bytes(), g.follow()
	now := time.Now()
	var claims []byte
	var opened []Header
	for i := range replayPerSender + 10 {
		h := Header{Suite: SuiteRecipients, ID: newMessageID(), Time: now.Add(time.Duration(i) * time.Millisecond)}
		if err := g.claim(h, replayWindow, now); err != nil {
			t.Fatal(err)
		}
		opened = append(opened, h)
		if i%1000 == 0 {
			some, _ := g.take(log)
			claims = append(claims, some...)
		}
	}
	some, ok := g.take(log)
	again, err := ParseReplayGuard(whole)
	if err != nil || !ok {
		t.Fatal(err, ok)
	}
	if err := again.apply(append(claims, some...)); err != nil {
		t.Fatal(err)
	}
	for i, h := range opened {
		if again.claim(h, replayWindow, now) == nil {
			t.Fatalf("message %d opens again", i)
		}
	}
}

// A log that nobody takes, an older one and a withdrawn claim all ask for the whole guard.
func TestALogThatIsLostSaysSo(t *testing.T) {
	g := anyTime()
	first := g.follow()
	now := time.Now()
	claim := func() Header {
		h := Header{Suite: SuiteRecipients, ID: newMessageID(), Time: now}
		if err := g.claim(h, replayWindow, now); err != nil {
			t.Fatal(err)
		}
		return h
	}
	claim()
	second := g.follow()
	if _, ok := g.take(first); ok {
		t.Error("the log before is still the guard's")
	}
	h := claim()
	g.withdraw(h)
	if _, ok := g.take(second); ok {
		t.Error("a withdrawn claim may stand in the log")
	}
	if err := g.claim(h, replayWindow, now); err != nil {
		t.Error("a withdrawn claim is not claimed again:", err)
	}
	third := g.follow()
	third.Claims = make([]byte, pagestore.MaxLog)
	claim()
	if _, ok := g.take(third); ok || third.Claims != nil {
		t.Error("a log that is full is not dropped")
	}
	for _, bad := range [][]byte{{0x95}, {0x90}, []byte("text"), append(append([]byte{0x95, 0xc4, 32}, make([]byte, 32)...), 0xa0, 0xc4, 16)} {
		if g.apply(bad) == nil {
			t.Errorf("%x was applied", bad)
		}
	}
}

// Own opens what the identity itself sealed and listed itself for, as often as asked, and nothing of anybody else.
func TestOwnOpensOneselfAndNobodyElse(t *testing.T) {
	alice, bob := identity(t, "alice"), identity(t, "bob")
	both := []*keys.PublicIdentity{bob.Public(), alice.Public()}
	mine := seal(t, &Sealer{From: alice, To: both, Context: "c"}, "mine")
	own := Opener{Identity: alice, Own: true, Context: "c", Archive: true, InsecureAllowReplay: true}
	if err := alice.Renew(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if data, _, err := own.Open(nil, mine); err != nil || string(data) != "mine" {
			t.Fatalf("%q, %v", data, err)
		}
	}
	expectReason(t, &Opener{Identity: alice, From: alice.Public(), Context: "c", InsecureAllowReplay: true}, mine, ReasonReflected, "as somebody else's")
	expectReason(t, &own, seal(t, &Sealer{From: bob, To: both, Context: "c"}, "his"), ReasonSender, "somebody else's as one's own")
	expectReason(t, &own, seal(t, &Sealer{From: alice, To: both, Context: "d"}, "mine"), ReasonContext, "of another context")
	expectReason(t, &own, seal(t, &Sealer{From: alice, To: both[:1], Context: "c"}, "mine"), ReasonNotForUs, "not sealed to oneself")
	for _, o := range []Opener{
		{Identity: alice, Own: true, From: bob.Public(), InsecureAllowReplay: true},
		{Identity: alice, Own: true, FromParty: "b", InsecureAllowReplay: true},
		{Own: true, InsecureAllowReplay: true},
		{Identity: alice, Own: true, Shared: sharedKeyset(t), Party: "a", InsecureAllowReplay: true},
	} {
		if _, _, err := o.Open(nil, mine); err == nil || ReasonOf(err) != 0 {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
