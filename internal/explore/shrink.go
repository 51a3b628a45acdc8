package explore

import (
	"slices"
	"testing"
	"time"
)

// patience is how long a failure is made smaller.
const patience = 30 * time.Second

// A shrinker makes the numbers of a run that has failed fewer and smaller.
type shrinker struct {
	best  result
	fails func(given []uint64) result
	start time.Time
}

func shrink(t *testing.T, f func(*T), r result) result {
	s := &shrinker{best: r, start: time.Now(), fails: func(given []uint64) result { return run(f, &T{TB: t, given: given}) }}
	for s.leaveOut() || s.lower() {
	}
	return s.best
}

// leaveOut leaves out parts of a run, large ones first.
func (s *shrinker) leaveOut() (better bool) {
	for size := len(s.best.drawn); size > 0; size /= 2 {
		for at := len(s.best.drawn) - size; at >= 0; at -= max(1, size/2) {
			if at+size <= len(s.best.drawn) && s.try(slices.Delete(slices.Clone(s.best.drawn), at, at+size)) {
				better = true
			}
		}
	}
	return better
}

// lower makes single numbers smaller.
func (s *shrinker) lower() (better bool) {
	for at := 0; at < len(s.best.drawn); at++ {
		for _, smaller := range []func(n uint64) uint64{
			func(n uint64) uint64 { return 0 },
			func(n uint64) uint64 { return n / 2 },
			func(n uint64) uint64 { return n - 1 },
		} {
			for at < len(s.best.drawn) && s.best.drawn[at] > 0 {
				given := slices.Clone(s.best.drawn)
				given[at] = smaller(given[at])
				if !s.try(given) {
					break
				}
				better = true
			}
		}
	}
	return better
}

// try keeps numbers that fail too and are fewer or smaller.
func (s *shrinker) try(given []uint64) bool {
	if time.Since(s.start) > patience {
		return false
	}
	r := s.fails(given)
	shorter := len(r.drawn) < len(s.best.drawn) || len(r.drawn) == len(s.best.drawn) && slices.Compare(r.drawn, s.best.drawn) < 0
	if r.failure == "" || !shorter {
		return false
	}
	s.best = r
	return true
}
