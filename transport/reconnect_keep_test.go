package transport

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
)

// answers are what a hop can make of a dial or of a connection.
func answers() (all []error) {
	for _, status := range []int{101, 200, 301, 302, 307, 400, 401, 403, 404, 405, 407, 408, 410, 418, 421, 425, 426, 429, 451, 500, 502, 503, 504, 511} {
		permanent := status < 500 && status != 408 && status != 429
		all = append(all, &DialError{Status: status, permanent: permanent},
			&DialError{Status: status, permanent: permanent, RetryAfter: time.Second},
			&DialError{Status: status, permanent: permanent, Phase: PhaseProxy})
	}
	codes := []Code{0, 999, 2999, 3000, 3001, 3003, 3999, 4000, 4321, 4999}
	for code := range Code(16) {
		codes = append(codes, 1000+code)
	}
	for _, code := range codes {
		all = append(all, &CloseError{Code: code, Remote: true}, &CloseError{Code: code, Remote: true, Err: io.ErrUnexpectedEOF})
	}
	return append(all,
		&DialError{Phase: PhaseTLS, Problem: "has expired on", permanent: true},
		&DialError{Phase: PhaseConnect}, &DialError{err: context.DeadlineExceeded}, badURL("no host"),
		&CloseError{Code: CodeUnsupported, Err: errors.New("a text message")},
		&CloseError{Code: CodeTooLarge, Err: ErrTooLarge},
		&CloseError{Code: CodeAbnormal, Err: context.DeadlineExceeded},
		io.EOF, net.ErrClosed, errDown)
}

// TestA55KeepTryingOutlastsEveryAnswer: on the first return as on the next one. Without
// a connection before, and without KeepTrying, what ActionFor says holds.
func TestA55KeepTryingOutlastsEveryAnswer(t *testing.T) {
	fakeTime(t, func(t *testing.T) {
		for _, cause := range answers() {
			cause := fmt.Errorf("wrapped: %w", cause)
			stops := ActionFor(cause) == ActionStop || ActionFor(cause) == ActionRefresh
			for _, keep := range []bool{false, true} {
				left := 3
				d := NewRedialer(Retry{KeepTrying: keep, Base: 1, Cap: 6, MaxRetryAfter: 1}, func(ctx context.Context) (Conn, error) {
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
		retry  Retry
		why    error
		reason GaveUpReason
		tries  int
	}{
		"closed here":         {why: &CloseError{Code: CodeNormal}, reason: GaveUpStopped, tries: 1},
		"a read was given up": {why: gaveUp(context.Canceled), reason: GaveUpStopped, tries: 1},
		"a layer above":       {why: verdict{true, &DialError{Status: 401}}, reason: GaveUpStopped, tries: 1},
		"a Redialer above":    {why: &GaveUpError{Reason: GaveUpStopped, Err: errDown}, reason: GaveUpStopped, tries: 1},
		"Decide":              {retry: Retry{Decide: ActionFor}, why: &CloseError{Code: CodeForbidden, Remote: true}, reason: GaveUpStopped, tries: 1},
		"tries":               {retry: Retry{MaxTries: 4}, why: lost(nil), reason: GaveUpTries, tries: 4},
	} {
		t.Run(name, func(t *testing.T) {
			fakeTime(t, func(t *testing.T) {
				test.retry.KeepTrying = true
				d := NewRedialer(test.retry, up)
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
				d := NewRedialer(Retry{Refresh: c.Refresh, KeepTrying: true}, func(ctx context.Context) (Conn, error) {
					if test.foreign--; test.foreign >= 0 {
						c.log = append(c.log, "dial")
						return nil, &DialError{Status: 401, permanent: true}
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
			d := NewRedialer(Retry{KeepTrying: true}, up)
			start := time.Now()
			mustNext(t, d, &DialError{Status: status, permanent: true, RetryAfter: time.Minute})
			if took := time.Since(start); took < time.Minute || took > time.Minute+DefaultRetryBase {
				t.Errorf("%d: back after %v", status, took)
			}
		})
	}
}
