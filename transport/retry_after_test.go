//go:build !js

package transport

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, test := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"0", "", 0},
		{"7", "", 7 * time.Second},
		{"0007", "", 7 * time.Second},
		{"86400", "", 24 * time.Hour},
		{"86401", "", 24 * time.Hour},
		{"18446744073709551615", "", 24 * time.Hour}, // times a second it would overflow
		{"99999999999999999999999999", "", 24 * time.Hour},
		{strings.Repeat("9", 41), "", 0},
		{"-7", "", 0},
		{"+7", "", 0},
		{"7.5", "", 0},
		{"7s", "", 0},
		{"7, 9", "", 0},
		{"\u0667", "", 0}, // an Arabic seven
		{"soon \x1b[2J", "", 0},
		{date(time.Minute), "", time.Minute},
		{now.Add(time.Minute).Format(time.RFC850), "", time.Minute}, // the obsolete forms have to be read
		{now.Add(time.Minute).Format(time.ANSIC), "", time.Minute},
		{date(-time.Minute), "", 0},
		{date(10000 * time.Hour), "", 24 * time.Hour},
		{"Mon, 01 Jan 9999 00:00:00 GMT", "", 24 * time.Hour},
		{"Mon, 01 Jan 0001 00:00:00 GMT", "", 0},
		{date(time.Hour), date(time.Hour - time.Minute), time.Minute}, // its clock is ahead
		{date(-time.Hour), date(-time.Hour - time.Minute), time.Minute},
		{date(time.Minute), "not a date", time.Minute},
		{"7", date(time.Hour), 7 * time.Second},
	} {
		h := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
		if got := retryAfter(h, now); got != test.want {
			t.Errorf("Retry-After %q with Date %q: %v, want %v", test.value, test.date, got, test.want)
		}
	}
	if got := retryAfter(nil, now); got != 0 {
		t.Errorf("without a header: %v", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7", "")
	f.Add("Mon, 01 Jan 9999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		if got := retryAfter(h, time.Now()); got < 0 || got > longestRetryAfter {
			t.Errorf("%q, %q: %v", value, date, got)
		}
	})
}
