package main

import (
	"runtime"
	"slices"
	"time"
)

// A row is one comparison. Times are medians of one call, in nanoseconds; ratio
// and difference are medians over the rounds, each of which ran both sides.
type row struct {
	What        string  `json:"what"`
	Time        float64 `json:"ns"`
	Against     string  `json:"against"`
	AgainstTime float64 `json:"against_ns"`
	Ratio       float64 `json:"ratio"`
	Difference  float64 `json:"difference_ns"`
	Allocations float64 `json:"allocations"` // of one call of what, in its last round
	Goal        string  `json:"goal"`
	Met         bool    `json:"met"`
}

func (r row) verdict() string {
	if r.Met {
		return "met"
	}
	return "MISSED"
}

// A comparison runs two things in turns. Each call of a side gets the number of
// the round; calls is how often it is called within one.
type comparison struct {
	rounds, calls int
	prepare       func() // before each measurement, untimed; may be nil
	a, b          func(round int)
}

func (c comparison) run() row {
	var as, bs, ratios, differences []float64
	var allocations float64
	for i := range c.rounds {
		var ta, tb float64
		if i%2 == 0 { // neither side is always the one that finds the caches warm
			ta, allocations = c.time(c.a, i)
			tb, _ = c.time(c.b, i)
		} else {
			tb, _ = c.time(c.b, i)
			ta, allocations = c.time(c.a, i)
		}
		as, bs = append(as, ta), append(bs, tb)
		ratios, differences = append(ratios, ta/tb), append(differences, ta-tb)
	}
	return row{Time: median(as), AgainstTime: median(bs), Ratio: median(ratios), Difference: median(differences), Allocations: allocations}
}

func (c comparison) time(f func(int), round int) (ns, allocations float64) {
	if c.prepare != nil {
		c.prepare()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range c.calls {
		f(round)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	n := float64(c.calls)
	return float64(took.Nanoseconds()) / n, float64((after.Mallocs - before.Mallocs) / uint64(c.calls))
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
