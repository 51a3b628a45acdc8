// Package lapse says when the end of a statement's life is near enough to be told: with 7, 3
// and 1 of its 30 days left, and when it is over. A statement that is made for less time is told
// of at the same shares of its life. One that is renewed at half of its life is never told of.
//
// All times are those of the wall clock, which is what other ends hold a statement against.
package lapse

import (
	"strconv"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// whole is the life of a statement that days of notice are about.
const whole = 30 * Day

var notices = []time.Duration{7 * Day, 3 * Day, Day, 0}

// A Watch remembers what was told about a statement. The zero Watch has told nothing. It must
// not be used by several goroutines at a time.
type Watch struct {
	expires time.Time // of the statement that it is about
	told    int       // how many of the notices are due, by the clock as it was at the latest look
}

// Due reports whether the life of a statement has come to another notice, each once, and how
// long is left: zero or less once it is over. Notices that a clock brought on too early come again
// when they are due by one that was set right.
func (w *Watch) Due(issued, expires, now time.Time) (left time.Duration, due bool) {
	if !w.expires.Equal(expires) {
		*w = Watch{expires: expires}
	}
	left, told := wall(expires).Sub(wall(now)), w.told
	w.told = 0
	for w.told < len(notices) && left <= at(w.told, issued, expires) {
		w.told++
	}
	return left, w.told > told
}

// at returns how much of a life is left at a notice.
func at(notice int, issued, expires time.Time) time.Duration {
	return time.Duration(float64(notices[notice]) * min(float64(expires.Sub(issued))/float64(whole), 1))
}

// wall takes the reading of the monotonic clock away: it stands still while a machine sleeps.
func wall(t time.Time) time.Time { return t.Round(0) }

// Text says how long something is away, in the largest unit that fits: "3 days".
func Text(d time.Duration) string {
	d = d.Abs()
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"day", Day}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int64(d / unit.size); n > 0 {
			return plural(n, unit.name)
		}
	}
	return plural(int64(d/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.FormatInt(n, 10) + " " + unit
}
