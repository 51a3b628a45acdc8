package transport

import (
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
