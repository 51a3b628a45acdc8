// Package unixtime has the times that statements, rings and stores write: Unix seconds.
package unixtime

import (
	"errors"
	"time"
)

// Limit is above every time that readers accept. No sum of times below it overflows.
const Limit = 1 << 40

// Check returns an error for a time that no statement, ring or store can have.
func Check(now time.Time) error {
	if seconds := now.Unix(); seconds <= 0 || seconds >= Limit {
		return errors.New("keys: this machine's clock shows a time at which no key can be made: set it")
	}
	return nil
}

// Beginning is the first second of 2026. Nothing was made before it. A clock that shows less is one
// that starts anew whenever its machine does.
const Beginning int64 = 1767225600

// Time returns the time of these seconds. For 0, which means not yet or never, it returns the zero
// time.
func Time(seconds uint64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// Text writes a time for error texts.
func Text(t time.Time) string { return t.UTC().Format(time.RFC3339) }
