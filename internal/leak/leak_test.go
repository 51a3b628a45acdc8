//go:build !js

package leak

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"
)

const childEnv = "HOPSEAL_LEAK_TEST"

func TestMain(m *testing.M) { Main(m, func() { os.Stderr.WriteString("cleaned up\n") }) }

// forgotten waits until it is told to end.
func forgotten(end <-chan struct{}) { <-end }

// counting is a test that counts its errors in place of failing.
type counting struct {
	testing.TB
	errors []string
}

func (c *counting) Helper()           {}
func (c *counting) Error(args ...any) { c.errors = append(c.errors, args[0].(string)) }

func TestLeftGoroutinesFailTheTest(t *testing.T) {
	before, end := Running(), make(chan struct{})
	go forgotten(end)
	c := &counting{TB: t}
	None(c, before)
	if len(c.errors) != 1 || !strings.HasPrefix(c.errors[0], "1 goroutines are left") || !strings.Contains(c.errors[0], "leak.forgotten(") {
		t.Errorf("reported %q", c.errors)
	}
	None(t, Running()) // what runs before is nobody's leak
	close(end)
	None(t, before)
}

func TestGoroutinesOfTheRuntimeMayStay(t *testing.T) {
	before := Running()
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	t.Cleanup(func() { signal.Stop(c) })
	None(t, before)
	for stack, want := range map[string]bool{
		"goroutine 1 [chan receive, 2 minutes]:\ntesting.(*T).Run(0xc0)\n\t/go": true,
		"goroutine 1 [chan receive]:\ntesting.(*T).Parallel(0xc0)\n\t/go":       true,
		"goroutine 1 [running]:\ntesting.(*T).Run(0xc0)\n\t/go":                 false,
		"goroutine 8 [waiting]:\nruntime.handleEvent()\n\t/go":                  true,
		"goroutine 8 [syscall]:\nruntime.goexit({})\n\t/go":                     true,
		"goroutine 8 [syscall]:\nsyscall.Read(0x1)\n\t/go":                      false,
		"goroutine 8 [select]:\nnet/http.(*persistConn).readLoop(0xc0)\n\t/go":  false,
	} {
		if expected(stack) != want {
			t.Errorf("%q: expected is %v", stack, !want)
		}
	}
}

// TestLeaves leaves a goroutine behind in the process that TestMainFailsWhereTestsPass starts.
func TestLeaves(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		go forgotten(make(chan struct{}))
	}
}

func TestMainFailsWhereTestsPass(t *testing.T) {
	for env, fails := range map[string]bool{"": false, "1": true} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeaves$")
		cmd.Env = append(os.Environ(), childEnv+"="+env)
		out, err := cmd.CombinedOutput()
		if (err != nil) != fails || strings.Contains(string(out), "leak.forgotten(") != fails || !strings.Contains(string(out), "cleaned up") {
			t.Errorf("with %q: %v\n%s", env, err, out)
		}
	}
}
