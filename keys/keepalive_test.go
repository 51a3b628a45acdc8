package keys

import (
	"testing"
	"time"
)

// TestAClockThatStartsAnewRenewsNothing has an identity in memory on a machine that shows 1970.
func TestAClockThatStartsAnewRenewsNothing(t *testing.T) {
	p := testIdentity(t, "x").Public()
	if p.aged(time.Unix(7, 0)) {
		t.Error("a statement that peers accept is replaced by one of 1970")
	}
	if !p.aged(p.Issued().Add(-time.Hour)) || !p.aged(p.RenewalDue()) {
		t.Error("a statement that is due is not replaced")
	}
}
