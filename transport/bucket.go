//go:build !js

package transport

import (
	"math"
	"time"
)

// A Rate bounds how often something happens: PerSecond times in the long run, and Burst times at
// once. A Burst below 1 means 1.
type Rate struct {
	PerSecond float64
	Burst     int
}

// limits reports whether the rate limits anything.
func (r Rate) limits() bool { return r.PerSecond > 0 }

// cost returns how long n tokens take to come back.
func (r Rate) cost(n int) time.Duration {
	return time.Duration(min(float64(n)/r.PerSecond, maxCost.Seconds()) * float64(time.Second))
}

// maxCost keeps sums of costs far from overflow.
const maxCost = 24 * time.Hour

// A bucket is a token bucket of Rate.Burst tokens. Its value is the time at which it will be full
// (the "generic cell rate algorithm"). So the Gate keeps one number for each address, and taking
// more than a Burst needs no loop, unlike golang.org/x/time/rate. Times count from the start of the
// Gate.
type bucket time.Duration

// debt returns how long it takes until the bucket holds n tokens, or 0 if it does.
func (b bucket) debt(now time.Duration, n int, r Rate) time.Duration {
	missing := max(time.Duration(b)-now, 0) + r.cost(n) - r.cost(max(r.Burst, 1))
	return min(max(missing, 0), maxCost)
}

// take takes n tokens. If the bucket holds fewer, it goes into debt.
func (b *bucket) take(now time.Duration, n int, r Rate) {
	full := max(time.Duration(*b), now)
	*b = bucket(min(full, math.MaxInt64-maxCost) + r.cost(n))
}

// full reports whether the bucket is as full as a new one.
func (b bucket) full(now time.Duration) bool { return time.Duration(b) <= now }

// An account is a bucket that remembers whether it was in debt. Most messages then need no look at
// the clock.
type account struct {
	bucket
	owing bool
}

// pay takes n tokens.
func (a *account) pay(now time.Duration, n int, r Rate) {
	a.take(now, n, r)
	a.owing = a.debt(now, 0, r) > 0
}
