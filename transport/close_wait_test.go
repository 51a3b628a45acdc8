package transport

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAWaitCrossesAClose(t *testing.T) {
	for _, wait := range []time.Duration{time.Millisecond, 2500 * time.Millisecond, time.Hour, longestRetryAfter} {
		for _, code := range []Code{CodeTryLater, CodeRestart} {
			a, b := Pipe()
			b.Close(code, WaitReason(wait, strings.Repeat("crowded ", 30)))
			_, err := a.Read(t.Context(), nil)
			body := AppendClose(nil, code, WaitReason(wait, strings.Repeat("crowded ", 30)))
			closed, ok := ParseClose(body)
			if RetryAfter(err) != wait || !ok || closed.RetryAfter != wait {
				t.Errorf("%v: %v over a pipe, %v in a close message", wait, RetryAfter(err), closed)
			}
		}
	}
}

func TestWhatIsNoWaitIsIgnored(t *testing.T) {
	for _, reason := range []string{"", "retry-after=", "retry-after=x", "retry-after=-1", "retry-after=1e9", "retry-after=0x10", "retry-after=NaN",
		"retry-after=1.2.3", "Retry-After=1", " retry-after=1", "retry-after=000000000000000000001", "busy retry-after=1"} {
		if closed := PeerClosed(CodeTryLater, reason); closed.RetryAfter != 0 {
			t.Errorf("%q is read as %v", reason, closed.RetryAfter)
		}
	}
	for _, code := range []Code{CodeNormal, CodePolicy, 4000} {
		if closed := PeerClosed(code, WaitReason(time.Minute, "x")); closed.RetryAfter != 0 {
			t.Errorf("code %v has a time to wait", code)
		}
	}
	if closed := PeerClosed(CodeTryLater, "retry-after=99999999999999999999 x"); closed.RetryAfter != longestRetryAfter {
		t.Errorf("read as %v", closed.RetryAfter)
	}
	a, _ := Pipe()
	a.Close(CodeTryLater, WaitReason(time.Minute, "")) // by this end
	if _, err := a.Read(t.Context(), nil); RetryAfter(err) != 0 {
		t.Errorf("this end obeys itself: %v", RetryAfter(err))
	}
}

// layered is an error of what runs above a connection.
type layered struct{ error }

func (e layered) Unwrap() error { return e.error }
func (layered) Permanent() bool { return false }

func TestARedialerObeysAClose(t *testing.T) {
	for _, test := range []struct {
		why         error
		least, most time.Duration
	}{
		{PeerClosed(CodeTryLater, WaitReason(7*time.Second, "")), 7 * time.Second, 8 * time.Second},
		{fmt.Errorf("above: %w", PeerClosed(CodeRestart, WaitReason(7*time.Second, ""))), 7 * time.Second, 8 * time.Second},
		{layered{PeerClosed(CodeTryLater, WaitReason(7*time.Second, ""))}, 7 * time.Second, 8 * time.Second},
		{PeerClosed(CodeTryLater, WaitReason(24*time.Hour, "")), DefaultMaxRetryAfter, DefaultMaxRetryAfter + time.Second},
		{layered{errors.New("x")}, 0, time.Second},
	} {
		fakeTime(t, func(t *testing.T) {
			d := NewRedialer(Retry{}, up)
			began := time.Now()
			mustNext(t, d, test.why)
			if took := time.Since(began); took < test.least || took > test.most {
				t.Errorf("%v: after %v", test.why, took)
			}
		})
	}
}
