package redial

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// layered is an error of what runs above a connection.
type layered struct{ error }

func (e layered) Unwrap() error { return e.error }
func (layered) Permanent() bool { return false }

func TestARedialerObeysAClose(t *testing.T) {
	for _, test := range []struct {
		why         error
		least, most time.Duration
	}{
		{transport.PeerClosed(transport.CodeTryLater, transport.WaitReason(7*time.Second, "")), 7 * time.Second, 8 * time.Second},
		{fmt.Errorf("above: %w", transport.PeerClosed(transport.CodeRestart, transport.WaitReason(7*time.Second, ""))), 7 * time.Second, 8 * time.Second},
		{layered{transport.PeerClosed(transport.CodeTryLater, transport.WaitReason(7*time.Second, ""))}, 7 * time.Second, 8 * time.Second},
		{transport.PeerClosed(transport.CodeTryLater, transport.WaitReason(24*time.Hour, "")), DefaultMaxRetryAfter, DefaultMaxRetryAfter + time.Second},
		{layered{errors.New("x")}, 0, time.Second},
	} {
		fakeTime(t, func(t *testing.T) {
			d := New(Policy{}, up)
			began := time.Now()
			mustNext(t, d, test.why)
			if took := time.Since(began); took < test.least || took > test.most {
				t.Errorf("%v: after %v", test.why, took)
			}
		})
	}
}
