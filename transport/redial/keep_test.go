package redial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// answers are what a hop can make of a dial or of a connection.
func answers() (all []error) {
	for _, status := range []int{101, 200, 301, 302, 307, 400, 401, 403, 404, 405, 407, 408, 410, 418, 421, 425, 426, 429, 451, 500, 502, 503, 504, 511} {
		all = append(all, &transport.DialError{Status: status},
			&transport.DialError{Status: status, RetryAfter: time.Second},
			&transport.DialError{Status: status, Phase: transport.PhaseProxy})
	}
	codes := []transport.Code{0, 999, 2999, 3000, 3001, 3003, 3999, 4000, 4321, 4999}
	for code := range transport.Code(16) {
		codes = append(codes, 1000+code)
	}
	for _, code := range codes {
		all = append(all, &transport.CloseError{Code: code, Remote: true}, &transport.CloseError{Code: code, Remote: true, Err: io.ErrUnexpectedEOF})
	}
	return append(all,
		&transport.DialError{Phase: transport.PhaseTLS, Problem: "has expired on"},
		&transport.DialError{Phase: transport.PhaseConnect}, late(), malformed(),
		&transport.CloseError{Code: transport.CodeUnsupported, Err: errors.New("a text message")},
		&transport.CloseError{Code: transport.CodeTooLarge, Err: transport.ErrTooLarge},
		&transport.CloseError{Code: transport.CodeAbnormal, Err: context.DeadlineExceeded},
		io.EOF, net.ErrClosed, errDown)
}

// TestA55KeepTryingOutlastsEveryAnswer: on the first return as on the next one. Without
// a connection before, and without KeepTrying, what ActionFor says holds.
func TestA55KeepTryingOutlastsEveryAnswer(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		for _, cause := range answers() {
			cause := fmt.Errorf("wrapped: %w", cause)
			stops := ActionFor(cause) == Stop || ActionFor(cause) == Refresh
			for _, keep := range []bool{false, true} {
				left := 3
				d := New(Policy{KeepTrying: keep, Base: 1, Cap: 6, MaxRetryAfter: 1}, func(ctx context.Context) (transport.Conn, error) {
					if left--; left >= 0 {
						return nil, cause
					}
					return up(ctx)
				})
				_, err := d.Next(t.Context(), nil)
				if gaveUp := errors.As(err, new(*GaveUpError)); gaveUp != stops {
					t.Errorf("%v, keep %v, first: %v", cause, keep, err)
				}
				for range 2 {
					left = 0
					mustNext(t, d, nil)
					left = 3
					_, err = d.Next(t.Context(), cause)
					if gaveUp := errors.As(err, new(*GaveUpError)); gaveUp != (stops && !keep) {
						t.Errorf("%v, keep %v, again: %v", cause, keep, err)
					}
				}
			}
		}
	})
}

// TestKeepTryingEndsByThisEnd: by its context, its limits, its Decide, and what it has closed.
func TestKeepTryingEndsByThisEnd(t *testing.T) {
	for name, test := range map[string]struct {
		retry  Policy
		why    error
		reason GaveUpReason
		tries  int
	}{
		"closed here":         {why: &transport.CloseError{Code: transport.CodeNormal}, reason: GaveUpStopped, tries: 1},
		"a read was given up": {why: gaveUp(context.Canceled), reason: GaveUpStopped, tries: 1},
		"a layer above":       {why: verdict{true, &transport.DialError{Status: 401}}, reason: GaveUpStopped, tries: 1},
		"a Redialer above":    {why: &GaveUpError{Reason: GaveUpStopped, Err: errDown}, reason: GaveUpStopped, tries: 1},
		"Decide":              {retry: Policy{Decide: ActionFor}, why: &transport.CloseError{Code: transport.CodeForbidden, Remote: true}, reason: GaveUpStopped, tries: 1},
		"tries":               {retry: Policy{MaxTries: 4}, why: lost(nil), reason: GaveUpTries, tries: 4},
	} {
		t.Run(name, func(t *testing.T) {
			fakeTime(t, func(t *testing.T) {
				test.retry.KeepTrying = true
				d := New(test.retry, up)
				mustNext(t, d, nil)
				d.dial = down
				_, err := d.Next(t.Context(), test.why)
				wantGaveUp(t, err, test.reason, test.tries)
			})
		})
	}
}

// TestKeepTryingAsksForACredential: each time that one is refused, and whatever comes of
// it the next try is made, with the old one if there is no other.
func TestKeepTryingAsksForACredential(t *testing.T) {
	temporary := errors.New("the login server is down, s3cr3t")
	for name, test := range map[string]struct {
		refresh []error
		foreign int // dials that something else than the server refuses with 401
		want    string
	}{
		"at once":             {[]error{nil}, 0, "dial refresh dial"},
		"refused afresh":      {[]error{nil, nil, nil}, 3, "dial refresh dial refresh dial refresh dial"},
		"later":               {[]error{temporary, nil}, 0, "dial refresh dial refresh dial"},
		"never, and needless": {[]error{lockedOut{}, fmt.Errorf("wrapped: %w", lockedOut{})}, 2, "dial refresh dial refresh dial"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeTime(t, func(t *testing.T) {
				c := &credentials{refresh: test.refresh, valid: test.foreign > 0}
				d := New(Policy{Refresh: c.Refresh, KeepTrying: true}, func(ctx context.Context) (transport.Conn, error) {
					if test.foreign--; test.foreign >= 0 {
						c.log = append(c.log, "dial")
						return nil, &transport.DialError{Status: 401}
					}
					c.valid = c.valid || slices.Contains(test.refresh, error(lockedOut{}))
					return c.dial(ctx)
				})
				mustNext(t, d, lost(nil))
				if got := strings.Join(c.log, " "); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// TestKeepTryingWaitsAsAsked: whatever the status that a time comes with.
func TestKeepTryingWaitsAsAsked(t *testing.T) {
	for _, status := range []int{302, 401, 403, 404, 429, 503} {
		fakeTime(t, func(t *testing.T) {
			d := New(Policy{KeepTrying: true}, up)
			start := time.Now()
			mustNext(t, d, &transport.DialError{Status: status, RetryAfter: time.Minute})
			if took := time.Since(start); took < time.Minute || took > time.Minute+DefaultBase {
				t.Errorf("%d: back after %v", status, took)
			}
		})
	}
}
