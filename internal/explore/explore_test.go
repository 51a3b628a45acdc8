package explore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// find returns the first run of many that fails, and the smallest found from it.
func find(t *testing.T, f func(*T)) (first, small result) {
	t.Helper()
	for seed := range uint64(1000) {
		if first = run(f, &T{TB: t, rand: rand.New(rand.NewPCG(seed, 0))}); first.failure != "" {
			return first, shrink(t, f, first)
		}
	}
	t.Fatal("no run fails")
	return first, small
}

func TestFailuresBecomeSmall(t *testing.T) {
	for want, f := range map[string]func(*T){
		"n: 1000": func(t *T) {
			if n := IntRange(0, 1_000_000).Draw(t, "n"); n >= 1000 {
				t.Fatalf("%d is too much", n)
			}
		},
		"word: \"b\"|yes: true": func(t *T) {
			if SampledFrom([]string{"a", "b", "c"}).Draw(t, "word") != "a" && Bool().Draw(t, "yes") {
				panic("not so")
			}
		},
		"one: 1|one: 1|one: 1": func(t *T) {
			all := SliceOf(20, func(t *T) int { return IntRange(0, 9).Draw(t, "one") }).Draw(t, "all")
			if n := len(slices.DeleteFunc(all, func(n int) bool { return n == 0 })); n >= 3 {
				t.Fatal("three")
			}
		},
	} {
		if _, small := find(t, f); strings.Join(small.log, "|") != want {
			t.Errorf("drew %q, want %s", small.log, want)
		}
	}
}

// A set loses what is added while something was taken out: a bug of three steps.
func TestActionsBecomeFew(t *testing.T) {
	checks := 0
	broken := func(t *T) {
		var set, model []int
		n := func(t *T) int { return IntRange(0, 100).Draw(t, "n") }
		t.Repeat(map[string]func(*T){
			"": func(t *T) {
				if checks++; len(set) != len(model) {
					t.Fatalf("%v is not %v", set, model)
				}
			},
			"add": func(t *T) { n := n(t); set, model = append(set, n), append(model, n) },
			"remove": func(t *T) {
				if len(set) == 0 {
					t.Skip("nothing there")
				}
				if model = model[1:]; len(set) != 4 {
					set = set[1:]
				}
			},
			"look": func(t *T) { n(t) },
		})
	}
	first, small := find(t, broken)
	if got := fmt.Sprint(small.log); got != "[add n: 0 add n: 0 add n: 0 add n: 0 remove]" || len(first.log) < len(small.log) {
		t.Errorf("drew %s at last", got)
	}
	if again := run(broken, &T{TB: t, given: small.drawn}); again.failure != small.failure || checks == 0 {
		t.Errorf("again: %q", again.failure)
	}
}

func TestRunsReachAll(t *testing.T) {
	edges, steps, skips := map[int]int{}, 0, 0
	Check(t, func(t *T) {
		edges[IntRange(-5, 1000).Draw(t, "n")]++
		t.Repeat(map[string]func(*T){"step": func(*T) { steps++ }, "never": func(t *T) { skips++; t.Skip() }})
		if Bool().Draw(t, "skips") {
			t.Skip("the rest")
			t.Fatal("not reached")
		}
	})
	if n := runs * usual / 4; steps < n || skips < n {
		if !testing.Short() {
			t.Errorf("%d steps and %d skipped in %d runs", steps, skips, runs)
		}
	}
	if edges[1000] == 0 && !testing.Short() {
		t.Errorf("the largest is never drawn: %v", edges)
	}
}

// A panic says where it was, out of an action too.
func TestPanicsKeepTheirStacks(t *testing.T) {
	_, small := find(t, func(t *T) {
		t.Repeat(map[string]func(*T){"breaks": func(*T) { breaks(nil) }})
	})
	if !strings.Contains(small.failure, "explore.breaks") {
		t.Error(small.failure)
	}
}

func breaks(m map[string]int) { m["a"] = 1 }

// Runs and actions that skip test nothing, so a test of nothing else fails.
func TestSkippingAllFails(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		Check(t, func(t *T) { t.Skip() })
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSkippingAllFails$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "runs of") {
		t.Errorf("a test whose runs all skip: %v\n%s", err, out)
	}
	for what, skip := range map[string]func(*T){"Skip": func(t *T) { t.Skip() }, "Skipf": func(t *T) { t.Skipf("%d", 1) }, "SkipNow": (*T).SkipNow} {
		if _, small := find(t, func(t *T) { t.Repeat(map[string]func(*T){"never": skip}) }); !strings.Contains(small.failure, "no action is possible") {
			t.Errorf("%s: %q", what, small.failure)
		}
	}
}

const childEnv = "HOPSEAL_EXPLORE_TEST"

// What fails after Skip, in a deferred function, has failed.
func TestFailuresBehindSkipsCount(t *testing.T) {
	late := func(t *T) {
		defer t.Fatal("after all")
		t.Skip()
	}
	for _, f := range []func(*T){late, func(t *T) { t.Repeat(map[string]func(*T){"late": late}) }} {
		if _, small := find(t, f); !strings.Contains(small.failure, "after all") {
			t.Errorf("reported %q", small.failure)
		}
	}
}
