//go:build !js

package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Show says how long a statement counts, and -expires-within asks by exit code: of a store and of
// what was handed out, in text and in JSON.
func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.store("alice")
		time.Sleep(time.Minute)
		show := func(code int, says string, args ...string) string {
			t.Helper()
			out, errs, got := w.run(append([]string{"key", "show"}, args...)...)
			if got != code || !strings.Contains(out, says) || (code == 0) != (errs == "") {
				t.Errorf("%v: code %d, want %d with %q: %s%s", args, got, code, says, out, errs)
			}
			return errs
		}
		both := func(code int, says string, args ...string) string {
			t.Helper()
			show(code, says, append(args, "alice.pub")...)
			return show(code, says, args...)
		}
		both(0, ", in 29 days\n")
		both(0, ", in 29 days\n", "-expires-within", "7d")
		time.Sleep(23*day + time.Hour)
		both(0, ", in 6 days\n")
		if errs := both(exitExpires, ", in 6 days\n", "-expires-within", "7d"); !strings.Contains(errs, "expires in 6 days: run 'hopseal key rotate'") {
			t.Error(errs)
		}
		time.Sleep(9 * day)
		both(0, "statement    EXPIRED 2000-01-31T00:00:0")
		if errs := both(exitExpires, ", 2 days ago: peers refuse it", "-expires-within", "7d"); !strings.Contains(errs, "is expired: run 'hopseal key rotate'") {
			t.Error(errs)
		}
		both(exitExpires, `"state": "expired"`, "-expires-within", "1m", "-json")
		w.key("rotate")
		show(0, `"state": "valid"`, "-expires-within", "7d", "-json")
		show(exitExpires, "EXPIRED", "-expires-within", "7d", "alice.pub")
		w.key("revoke", "-fingerprint", w.fingerprint("alice.pub"))
		show(exitExpires, "REVOKED", "-expires-within", "7d")
		w.fails(exitUsage, "want a time such as", "show", "-expires-within", "soon")
	})
}
