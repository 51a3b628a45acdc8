package redial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// in returns the action that a table gives for n, and otherwise if none does.
func in(table map[Action][]int, n int, otherwise Action) Action {
	for action, numbers := range table {
		if slices.Contains(numbers, n) {
			return action
		}
	}
	return otherwise
}

func TestActionForEveryCloseCode(t *testing.T) {
	byPeer := map[Action][]int{
		Stop:    {1000, 1002, 1003, 1007, 1008, 1009, 1010, 3003},
		Wait:    {1012, 1013},
		Refresh: {3000},
	}
	byUs := map[Action][]int{Stop: {1003, 1009}} // because of what the peer did
	for code := range 5001 {
		for _, test := range []struct {
			end  transport.CloseError
			want Action
		}{
			{transport.CloseError{Remote: true}, in(byPeer, code, Retry)},
			{transport.CloseError{Remote: true, Err: io.ErrUnexpectedEOF}, in(byPeer, code, Retry)},
			{transport.CloseError{Err: transport.ErrTooLarge}, in(byUs, code, Retry)},
			{transport.CloseError{}, Stop},
		} {
			test.end.Code = transport.Code(code)
			if got := ActionFor(&test.end); got != test.want {
				t.Errorf("%v: %v, want %v", &test.end, got, test.want)
			}
			if got := ActionFor(fmt.Errorf("wrapped: %w", &test.end)); got != test.want {
				t.Errorf("%v, wrapped: %v, want %v", &test.end, got, test.want)
			}
		}
	}
}

func TestActionForEveryStatus(t *testing.T) {
	table := map[Action][]int{
		Refresh: {401},
		Wait:    {429},
		Retry:   {408, 425},
	}
	for status := range 700 {
		otherwise := Stop
		if status == 0 || status >= 500 {
			otherwise = Retry
		}
		e := &transport.DialError{Status: status}
		want := in(table, status, otherwise)
		if got := ActionFor(e); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
		if e.RetryAfter = time.Second; status != 0 && want == Retry {
			want = Wait
		}
		if got := ActionFor(fmt.Errorf("wrapped: %w", e)); got != want {
			t.Errorf("%d with Retry-After: %v, want %v", status, got, want)
		}
	}
}

// A verdict is the error of a layer above.
type verdict struct {
	permanent bool
	cause     error
}

func (v verdict) Error() string   { return "verdict" }
func (v verdict) Permanent() bool { return v.permanent }
func (v verdict) Unwrap() error   { return v.cause }

func TestActionForOtherErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want Action
	}{
		"a dial that will fail again":       {malformed(), Stop},
		"a dial that may work":              {&transport.DialError{Problem: "refused"}, Retry},
		"a read that was cancelled":         {gaveUp(context.Canceled), Stop},
		"a read that took too long":         {gaveUp(context.DeadlineExceeded), Retry},
		"a cut":                             {lost(nil), Retry},
		"a handshake that will fail again":  {verdict{true, lost(nil)}, Stop},
		"a handshake that a hop closed":     {verdict{false, &transport.CloseError{Code: transport.CodePolicy, Remote: true}}, Retry},
		"a handshake over a refused dial":   {verdict{false, &transport.DialError{Status: 401}}, Retry},
		"a Redialer that gave up":           {&GaveUpError{Reason: GaveUpStopped, Err: lost(nil)}, Stop},
		"a Redialer that ran out of tries":  {&GaveUpError{Reason: GaveUpTries, Err: malformed()}, Retry},
		"the end of another kind of link":   {fmt.Errorf("adapter: %w", io.EOF), Stop},
		"the close of another kind of link": {net.ErrClosed, Retry},
		"an unknown error":                  {errors.New("unknown"), Retry},
	} {
		if got := ActionFor(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestActionsHaveNames(t *testing.T) {
	for action, want := range map[Action]string{
		Retry: "retry", Wait: "wait", Refresh: "refresh", Stop: "stop",
	} {
		if got := action.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
