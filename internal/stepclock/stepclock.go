// Package stepclock is a clock whose wall time can be set, while the time that has passed goes
// on as ever. Only tests use it: an overlay of the build puts it in the place of package time,
// see [Overlay].
package stepclock

import (
	"context"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"
)

// ahead is how far the wall clock was set, in seconds.
var ahead atomic.Int64

// Set has the wall clock show what it would have shown so much later, in whole seconds.
// Negative is earlier.
func Set(by time.Duration) { ahead.Store(int64(by / time.Second)) }

// Restless is the name of the environment variable with which the wall clock shows another
// time at every look: the right one, or that many seconds more or less.
const Restless = "HOPSEAL_RESTLESS_CLOCK"

var (
	restless, _ = strconv.ParseInt(os.Getenv(Restless), 10, 64)
	looks       atomic.Int64
)

// Looks returns how often somebody has looked at this clock.
func Looks() int64 { return looks.Load() }

// Now is [time.Now], which has both readings also in a bubble of testing/synctest.
func Now() time.Time {
	by := ahead.Load() + (looks.Add(1)%3-1)*restless
	return At(measured(time.Now()), time.Duration(by)*time.Second)
}

// Since is [time.Since].
func Since(t time.Time) time.Duration { return Now().Sub(t) }

// Until is [time.Until].
func Until(t time.Time) time.Duration { return t.Sub(Now()) }

// WithDeadline is [context.WithDeadline].
func WithDeadline(ctx context.Context, t time.Time) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, time.Now().Add(Until(t)))
}

// A layout is that of a [time.Time], see the comments there.
type layout struct {
	wall uint64 // monotonic, 33 bits of seconds since 1885, 30 bits of nanoseconds
	ext  int64  // what has passed since the process began, in ns
	loc  *time.Location
}

const (
	monotonic = 1 << 63 // a time has both readings
	second    = 1 << 30 // of the wall clock
)

var y1885 = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// measured gives a time of this moment the reading that nobody can set, unless it has one.
func measured(now time.Time) time.Time {
	x := (*layout)(unsafe.Pointer(&now))
	if x.wall&monotonic == 0 {
		began := *(*time.Time)(unsafe.Pointer(&layout{wall: monotonic}))
		x.wall = monotonic | uint64(now.Unix()-y1885)*second | uint64(now.Nanosecond())
		x.ext = int64(time.Since(began))
	}
	return now
}

// At returns t as [time.Now] had returned it with the wall clock set by so many seconds: what
// it shows is another time, and how long ago it is is the same.
func At(t time.Time, by time.Duration) time.Time {
	x := (*layout)(unsafe.Pointer(&t))
	if x.wall&monotonic == 0 {
		return t.Add(by)
	}
	x.wall += uint64(int64(by/time.Second) * second)
	return t
}
