package envelope

import (
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// TestClocksThatNoMessageCanHave: what Seal makes has a time that Open reads, and a guard that was stored is read
// again, whatever the clock shows.
func TestClocksThatNoMessageCanHave(t *testing.T) {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	s := Sealer{Shared: shared, Party: "x", ToParty: "y"}
	for ms, fits := range map[int64]bool{-1: false, 0: true, maxTime - 1: true, maxTime: false, 8.64e15: false} {
		if err := s.check(time.UnixMilli(ms)); (err == nil) != fits {
			t.Errorf("a message of %d: %v", ms, err)
		}
		if _, err := ParseReplayGuard(newReplayGuard(time.UnixMilli(ms)).Bytes()); err != nil {
			t.Errorf("a guard of %d: %v", ms, err)
		}
	}
}
