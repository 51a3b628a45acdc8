// Package leak fails tests that leave goroutines behind.
//
//	func TestMain(m *testing.M) { leak.Main(m) }
//
// A test that counts by itself takes note of what runs before it:
//
//	before := leak.Running()
//	…
//	leak.None(t, before)
package leak

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines that are about to end get for it. It is counted in
// pauses and not by a clock, which may stand still in a test.
const patience, pause = 100, 10 * time.Millisecond

// Main runs the tests of a package, then the cleanups, and ends the process. It fails
// where tests pass and goroutines are left.
func Main(m *testing.M, cleanups ...func()) {
	code := m.Run()
	if left := Find(nil); code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, report(left))
		code = 1
	}
	for _, cleanup := range cleanups {
		cleanup()
	}
	os.Exit(code)
}

// None fails a test that has left goroutines behind. Those that ran before do not count.
func None(t testing.TB, before map[string]bool) {
	t.Helper()
	if left := Find(before); len(left) > 0 {
		t.Error(report(left))
	}
}

// Running returns the names of all goroutines.
func Running() map[string]bool {
	names := map[string]bool{}
	for _, stack := range stacks() {
		names[name(stack)] = true
	}
	return names
}

// Find waits until every goroutine besides the caller's and those before has ended. It
// returns the stacks of those that do not.
func Find(before map[string]bool) (left []string) {
	for range patience {
		// The first stack is the caller's.
		left = slices.DeleteFunc(stacks()[1:], func(stack string) bool { return before[name(stack)] || expected(stack) })
		if len(left) == 0 {
			return nil
		}
		time.Sleep(pause)
	}
	return left
}

func report(left []string) string {
	return fmt.Sprintf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

// stacks returns the stack of every goroutine as text.
func stacks() []string {
	for size := 1 << 16; ; size *= 2 {
		text := make([]byte, size)
		if n := runtime.Stack(text, true); n < size {
			return strings.Split(strings.TrimSpace(string(text[:n])), "\n\n")
		}
	}
}

// name is what tells a goroutine from all others of the process, such as "goroutine 7".
func name(stack string) string {
	name, _, _ := strings.Cut(stack, " [")
	return name
}

// expected reports whether a goroutine belongs to the runtime or to package testing.
func expected(stack string) bool {
	first, calls, _ := strings.Cut(stack, "\n")
	function, _, _ := strings.Cut(calls, "\n")
	_, state, _ := strings.Cut(first, " [")
	runs := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(function, name+"(") })
	}
	switch {
	case runs("testing.(*T).Run", "testing.(*T).Parallel", "testing.runFuzzing", "testing.runFuzzTests"):
		return strings.HasPrefix(state, "chan receive")
	case runs("os/signal.signal_recv", "os/signal.loop"):
		return true
	case strings.HasPrefix(state, "syscall") && strings.Contains(calls, "runtime.goexit("):
		return true // of cgo
	}
	return strings.Contains(calls, "runtime.ensureSigM") || // of signal.Notify
		strings.Contains(calls, "runtime.ReadTrace(") ||
		strings.Contains(calls, "runtime.handleEvent(") // one, in wasm
}
