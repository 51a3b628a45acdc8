//go:build !js

package stepclock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/stepclock"
)

// underneath says that the tests of this file run with the overlay.
const underneath = "HOPSEAL_CLOCK_IS_OVERLAID"

// overlaid is what looks at a clock.
var overlaid = []string{"keys", "envelope", "internal", "transport", "e2e"}

// What takes so long takes so long, whatever becomes of the wall clock meanwhile. The tests below
// are run with an overlay of the build in which that clock can be set.
func TestA59WithAClockThatIsSet(t *testing.T) {
	if os.Getenv(underneath) != "" {
		t.Skip("it is one")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := stepclock.Overlay(root, overlaid, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, variable, folder string, arguments ...string) {
		command := exec.Command("go", append([]string{"test", "-count=1", "-overlay", overlay}, append(arguments, "./"+folder)...)...)
		command.Dir, command.Env = root, append(os.Environ(), variable)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", command.Args, err, out)
		}
	}
	t.Run("steps", func(t *testing.T) {
		run(t, underneath+"=1", "internal/stepclock", "-run", "^Test(Set|Stored)")
	})
	if os.Getenv("HOPSEAL_LONG_TESTS") == "" {
		return
	}
	for folder, stored := range restlessly {
		t.Run("restless/"+folder, func(t *testing.T) {
			run(t, stepclock.Restless+"=20", folder, "-short", "-timeout", "20m", "-skip", stored)
		})
	}
}

// restlessly are packages whose tests pass with a clock that shows another time at every look,
// and those of their tests that are about what that clock shows.
var restlessly = map[string]string{
	"e2e":             "^(TestA53AttemptHeldBackChangesNothing|TestA53ExpiredCredentialsOfAnEarlierAttempt|TestMessageCarriesTypeTimeAndID|TestA52ModelOfSessionsThatClose|TestStoredSessionsExpire|TestA58OneSessionStopsAndAnotherGoesOn|TestCredentialsOfOneConnectionExpire)$",
	"e2e/peer":        "^$",
	"keys":            "^(TestEveryVerifierRefusesExpiredAndRevoked|TestPolicyWalksTheLifeCycle)$",
	"keys/agent":      "^$",
	"transport":       "^$",
	"transport/relay": "^$",
	"internal/engine": "^$",
}

// steps are what becomes of the wall clock in the middle of something.
var steps = map[string]time.Duration{
	"nothing": 0, "an hour on": time.Hour, "an hour back": -time.Hour, "a year on": 8760 * time.Hour, "a year back": -8760 * time.Hour,
}

// whatever runs something that takes a time, and sets the clock in the middle of it.
func whatever(t *testing.T, takes func(t *testing.T, set func()) time.Duration) {
	if os.Getenv(underneath) == "" {
		t.Skip("TestA59WithAClockThatIsSet runs it")
	}
	var usual time.Duration
	run := func(name string, by time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stepclock.Set(0)
				defer stepclock.Set(0)
				time.Sleep(2 * 8760 * time.Hour)
				took := takes(t, func() { stepclock.Set(by) })
				if usual == 0 {
					usual = took
				}
				if (took - usual).Abs() > usual/50 {
					t.Errorf("it took %v, and %v with a clock that nobody sets", took, usual)
				}
			})
		})
	}
	run("nothing", 0)
	for name, by := range steps {
		run(name, by)
	}
	if stepclock.Looks() == 0 {
		t.Error("nobody has looked at the clock: there is no overlay")
	}
}
