package trust

import (
	"errors"
	"testing"
)

// A listener that has stopped is not called. A Verifier around others calls it for changes of all of
// them. Later statements of a peer are no change.
func TestOnChange(t *testing.T) {
	boss, alice := testIdentity(t, "boss"), testIdentity(t, "alice")
	known, a := new(KnownPeers), NewAuthority(boss.Public())
	var told int
	for name, v := range map[string]Verifier{"known": known, "first use": known.TrustOnFirstUse(), "around": known.RefuseRevoked(a)} {
		stop := v.(ChangeNotifier).OnChange(func() { told++ })
		told = 0
		if err := known.Revoke(revocationOf(t, testIdentity(t, "x"))); err != nil || told != 1 {
			t.Errorf("%s: told %d times, %v", name, told, err)
		}
		stop()
		stop()
	}
	stop := known.RefuseRevoked(a).(ChangeNotifier).OnChange(func() { told++ })
	told = 0
	if err := a.Revoke(revocationOf(t, alice)); err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
	stop()
	if len(known.listeners.funcs)+len(a.listeners.funcs) != 0 {
		t.Error("somebody is left")
	}

	bob, at := testIdentity(t, "bob"), Expected{Role: RoleClient}
	if err := known.Admit(at, bob.Public()); err != nil {
		t.Fatal(err)
	}
	told = 0
	known.OnChange(func() { told++ })
	if err := errors.Join(bob.Renew(), known.Verify(t.Context(), at, bob.Public())); err != nil || told != 0 {
		t.Errorf("told %d times of a renewal, %v", told, err)
	}
}
