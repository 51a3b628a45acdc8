package main

import (
	"math"
	"runtime"
	"slices"
	"time"
)

// A row is one comparison. Times are medians of one call, in nanoseconds; ratio
// and difference are medians over the rounds, each of which ran both sides.
type row struct {
	Group              string  `json:"group"`
	What               string  `json:"what"`
	Time               float64 `json:"ns"`
	Allocations        float64 `json:"allocations"` // of one call, and their size
	Bytes              float64 `json:"bytes"`
	Against            string  `json:"against"`
	AgainstTime        float64 `json:"against_ns"`
	AgainstAllocations float64 `json:"against_allocations"`
	AgainstBytes       float64 `json:"against_bytes"`
	Ratio              float64 `json:"ratio"`
	RatioLow           float64 `json:"ratio_low"` // the ratio is in between with 95 % confidence
	RatioHigh          float64 `json:"ratio_high"`
	Difference         float64 `json:"difference_ns"`
	Goal               string  `json:"goal"` // "" where the row is for information
	Met                bool    `json:"met"`
}

func (r row) verdict() string {
	switch {
	case r.Goal == "":
		return ""
	case r.Met:
		return "met"
	}
	return "MISSED"
}

// A goal is what a row is held against; the zero goal is none.
type goal struct {
	text string
	met  func(row) bool
}

func (r row) against(g goal) row {
	r.Goal, r.Met = g.text, g.met == nil || g.met(r)
	return r
}

// A comparison runs two things in turns. Each call of a side gets the number of
// the round; calls is how often it is called within one.
type comparison struct {
	rounds, calls int
	clock         func() time.Duration // nil stands for wall time
	prepare       func()               // before each batch of calls, untimed; may be nil
	a, b          func(round int)
}

// fit sets rounds, and calls where it is 0, for things that run on one thread. A
// batch is short, so that what else the machine does spares a round, or slows both
// its sides, or makes it one that the median leaves out. Where a single call is
// long already, wall time would say how often it was interrupted: the longer of two
// sides more often than the other.
func (c comparison) fit(e effort) comparison {
	c.clock = cpuTime
	slower := max(c.pace(c.a), c.pace(c.b), time.Nanosecond)
	if c.calls == 0 {
		c.calls = int(max(1, e.batch/slower))
	}
	c.rounds = int(min(2001, max(time.Duration(e.least), e.span/(slower*time.Duration(c.calls)))))
	return c
}

// pace is about how long one call takes, once it is warm.
func (c comparison) pace(f func(int)) time.Duration {
	c.calls = 1
	times := make([]float64, 5)
	for i := range times {
		times[i] = c.time(f, 0)
	}
	return time.Duration(median(times))
}

func (c comparison) run() row {
	var as, bs, ratios, differences []float64
	for i := range c.rounds {
		var ta, tb float64
		if i%2 == 0 { // neither side is always the one that finds the caches warm
			ta = c.time(c.a, i)
			tb = c.time(c.b, i)
		} else {
			tb = c.time(c.b, i)
			ta = c.time(c.a, i)
		}
		as, bs = append(as, ta), append(bs, tb)
		ratios, differences = append(ratios, ta/tb), append(differences, ta-tb)
	}
	r := row{Time: median(as), AgainstTime: median(bs), Ratio: median(ratios), Difference: median(differences)}
	r.RatioLow, r.RatioHigh = confidence(ratios)
	r.Allocations, r.Bytes = c.allocations(c.a)
	r.AgainstAllocations, r.AgainstBytes = c.allocations(c.b)
	return r
}

// time returns the nanoseconds of one call. It goes on until the clock has moved:
// some kernels count the time of a processor in steps of milliseconds, and a call
// that takes no time has no ratio.
func (c comparison) time(f func(int), round int) float64 {
	var taken time.Duration
	var calls int
	for ; taken <= 0; calls += c.calls {
		taken += c.batch(f, round)
	}
	return float64(taken.Nanoseconds()) / float64(calls)
}

// batch returns what calls calls take together.
func (c comparison) batch(f func(int), round int) time.Duration {
	if c.prepare != nil {
		c.prepare()
	}
	clock := c.clock
	if clock == nil {
		clock = wallTime
	}
	start := clock()
	for range c.calls {
		f(round)
	}
	return clock() - start
}

var begun = time.Now()

func wallTime() time.Duration { return time.Since(begun) }

// allocations returns those of one call and their size: the least of a few
// batches, since the runtime has some of its own, and empties pools.
func (c comparison) allocations(f func(int)) (times, size float64) {
	times, size = math.Inf(1), math.Inf(1)
	for range min(5, c.rounds) {
		if c.prepare != nil {
			c.prepare()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range c.calls {
			f(0)
		}
		runtime.ReadMemStats(&after)
		times = min(times, float64((after.Mallocs-before.Mallocs)/uint64(c.calls)))
		size = min(size, float64((after.TotalAlloc-before.TotalAlloc)/uint64(c.calls)))
	}
	return times, size
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}

// confidence returns the values between which the median of the population is
// with 95 % confidence, whatever the distribution: how many of n lie below it is
// binomial, n/2 ± 1.96 √n/2.
func confidence(v []float64) (low, high float64) {
	slices.Sort(v)
	n := float64(len(v))
	half := 0.98 * math.Sqrt(n)
	return v[max(0, int(n/2-half))], v[min(len(v)-1, int(math.Ceil(n/2+half)))]
}
