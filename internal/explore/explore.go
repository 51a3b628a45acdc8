// Package explore tests with what is drawn at random, and makes what has failed small.
//
//	explore.Check(t, func(et *explore.T) {
//		n := explore.IntRange(0, 1000).Draw(et, "n")
//		…
//	})
//
// A run is the list of numbers that were drawn in it. A list that fails is made shorter and
// its numbers smaller for as long as it fails: so generators draw first, for 0, what is
// simplest.
package explore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// Runs of one Check, where nothing fails.
const runs, slowRuns, shortRuns = 100, 25, 20

// mostSkips is how many runs may skip for each that does not. A test of which all runs skip has
// tested nothing.
const mostSkips = 10

// seedEnv names the seed of a run that is to be repeated, as a failure prints it.
const seedEnv = "HOPSEAL_SEED"

// A T is one run. It stands in for its test where helpers take a testing.TB.
type T struct {
	testing.TB
	given []uint64   // to be drawn again, and then 0
	rand  *rand.Rand // if it is set, numbers are new
	drawn []uint64
	log   []string // what was drawn
	skips bool     // while Skip ends something
}

type failed struct{ text string }

// Fatal ends a run that has failed.
func (*T) Fatal(args ...any) { panic(failed{fmt.Sprintln(args...)}) }

// Fatalf is Fatal with a format.
func (*T) Fatalf(format string, args ...any) { panic(failed{fmt.Sprintf(format, args...)}) }

// Error is Fatal: a run that goes on after an error could not be made small.
func (t *T) Error(args ...any) { t.Fatal(args...) }

// Errorf is Error with a format.
func (t *T) Errorf(format string, args ...any) { t.Fatalf(format, args...) }

// Skip ends an action of [T.Repeat] that is not possible now, or a run that says nothing. Another
// run takes its place.
func (t *T) Skip(...any) { t.SkipNow() }

// Skipf is Skip with a format.
func (t *T) Skipf(string, ...any) { t.SkipNow() }

// SkipNow is Skip. That of the test would end all runs.
func (t *T) SkipNow() {
	t.skips = true
	panic(skipped{})
}

type skipped struct{}

// Check calls f with many runs. If one fails, by Fatal or by a panic, the test does, with
// the smallest run that was found to fail too.
func Check(t *testing.T, f func(*T)) {
	t.Helper()
	n, first := runs, rand.Uint64()
	switch {
	case testing.Short():
		n = shortRuns
	case slowtest.Mode:
		n = slowRuns
	}
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
		n, first = 1, seed
	}
	for seed, passed := first, 0; passed < n; seed++ {
		if seed-first >= uint64(mostSkips*n) {
			t.Fatalf("%d runs of %d skip", mostSkips*n-passed, mostSkips*n)
		}
		r := run(f, &T{TB: t, rand: rand.New(rand.NewPCG(seed, 0))})
		if !r.skipped {
			passed++
		}
		if r.failure == "" {
			continue
		}
		small := shrink(t, f, r)
		t.Fatalf("%s\nafter drawing\n\t%s\nAgain, before it was made smaller: %s=%d", small.failure, strings.Join(small.log, "\n\t"), seedEnv, seed)
	}
}

// A result is what a run has come to.
type result struct {
	drawn   []uint64
	log     []string
	failure string // none: it has passed, or was skipped
	skipped bool
}

func run(f func(*T), et *T) (r result) {
	done := false
	defer func() {
		p := recover()
		if !done && p == nil {
			et.Logf("after drawing\n\t%s", strings.Join(et.log, "\n\t")) // the test itself has ended
		}
		_, skips := p.(skipped) // and did not fail on its way out
		if skips {
			p = nil
		}
		r = result{et.drawn, et.log, failure(p), skips}
	}()
	f(et)
	done = true
	return r
}

// failure says what has gone wrong, for what was recovered.
func failure(p any) string {
	switch p := p.(type) {
	case nil:
		return ""
	case failed:
		return p.text
	default:
		return fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
	}
}

// draw returns a number that is at most this large.
func (t *T) draw(most uint64) (n uint64) {
	switch {
	case t.rand != nil:
		n = t.number(most)
	case len(t.drawn) < len(t.given):
		n = min(t.given[len(t.drawn)], most)
	}
	t.drawn = append(t.drawn, n)
	return n
}

// few are so few numbers that each comes often.
const few = 64

// number returns a new number. Of many numbers, small ones and the largest come more often.
func (t *T) number(most uint64) uint64 {
	if most == 1<<64-1 {
		return t.rand.Uint64()
	}
	n := t.rand.Uint64N(most + 1)
	if most <= few {
		return n
	}
	switch t.rand.IntN(8) {
	case 0:
		return most
	case 1, 2, 3:
		return n >> t.rand.IntN(64)
	}
	return n
}
