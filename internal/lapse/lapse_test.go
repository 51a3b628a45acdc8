package lapse

import (
	"testing"
	"time"
)

// Each notice comes once for a statement, and again after a clock that was wrong, and one that is
// renewed at half of its life never has one.
func TestNoticesComeOnce(t *testing.T) {
	begin := time.Unix(1e9, 0)
	for _, life := range []time.Duration{30 * Day, 3 * Day, 48 * time.Hour, time.Hour} {
		var w Watch
		end := begin.Add(life)
		told := 0
		at := func(left time.Duration) (due bool) {
			got, due := w.Due(begin, end, end.Add(-left))
			if got != left {
				t.Fatalf("%v left, want %v", got, left)
			}
			if due {
				told++
			}
			return due
		}
		share := life / 30
		if at(life) || at(life/2) || at(7*share+time.Millisecond) {
			t.Errorf("%v: too early", life)
		}
		if !at(7*share) || at(7*share) || at(7*share-1) {
			t.Errorf("%v: not once at the first", life)
		}
		if !at(2*share) || at(2*share) { // two notices at a time are one
			t.Errorf("%v: not once at the second", life)
		}
		if !at(-Day) || at(-2*Day) {
			t.Errorf("%v: not once at the end", life)
		}
		if at(20*share) || !at(7*share) || at(6*share) || !at(3*share) || !at(share) || !at(0) || at(-1) {
			t.Errorf("%v: not once after a clock that was a year ahead for a time", life)
		}
		if told != 7 {
			t.Errorf("%v: told %d times", life, told)
		}
		end = end.Add(life)
		begin = begin.Add(life)
		if at(life) || !at(share) || !at(0) {
			t.Errorf("%v: a renewed one is none of its own", life)
		}
	}
}

// A longer sleep than the monotonic clock has seen counts: what others look at is the wall clock.
func TestSleepCounts(t *testing.T) {
	var w Watch
	now := time.Now()                              // with both readings
	end := now.Round(0).Add(8 * Day)               // without
	awake := time.Unix(now.Unix(), 0).Add(2 * Day) // the wall clock after a sleep of two days
	if left, due := w.Due(end.Add(-30*Day), end, awake); !due || left > 6*Day+time.Second {
		t.Error(left, due)
	}
}

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", -90 * time.Second: "1 minute", 2 * time.Hour: "2 hours", Day: "1 day", 30*Day - 1: "29 days",
	} {
		if got := Text(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
