package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// in returns the action that a table gives for n, and otherwise if none does.
func in(table map[RetryAction][]int, n int, otherwise RetryAction) RetryAction {
	for action, numbers := range table {
		if slices.Contains(numbers, n) {
			return action
		}
	}
	return otherwise
}

func TestActionForEveryCloseCode(t *testing.T) {
	byPeer := map[RetryAction][]int{
		ActionStop:    {1000, 1002, 1003, 1007, 1008, 1009, 1010, 3003},
		ActionWait:    {1012, 1013},
		ActionRefresh: {3000},
	}
	byUs := map[RetryAction][]int{ActionStop: {1003, 1009}} // because of what the peer did
	for code := range 5001 {
		for _, test := range []struct {
			end  CloseError
			want RetryAction
		}{
			{CloseError{Remote: true}, in(byPeer, code, ActionRetry)},
			{CloseError{Remote: true, Err: io.ErrUnexpectedEOF}, in(byPeer, code, ActionRetry)},
			{CloseError{Err: ErrTooLarge}, in(byUs, code, ActionRetry)},
			{CloseError{}, ActionStop},
		} {
			test.end.Code = Code(code)
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
	table := map[RetryAction][]int{
		ActionRefresh: {401},
		ActionWait:    {429},
		ActionRetry:   {408, 425},
	}
	for status := range 700 {
		otherwise := ActionStop
		if status == 0 || status >= 500 {
			otherwise = ActionRetry
		}
		e := &DialError{Status: status}
		want := in(table, status, otherwise)
		if got := ActionFor(e); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
		if e.RetryAfter = time.Second; status != 0 && want == ActionRetry {
			want = ActionWait
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
		want RetryAction
	}{
		"a dial that will fail again":       {badURL("no host"), ActionStop},
		"a dial that may work":              {&DialError{Problem: "refused"}, ActionRetry},
		"a dial that took too long":         {&DialError{err: context.DeadlineExceeded}, ActionRetry},
		"a dial that was cancelled":         {&DialError{err: context.Canceled}, ActionStop},
		"a read that was cancelled":         {gaveUp(context.Canceled), ActionStop},
		"a read that took too long":         {gaveUp(context.DeadlineExceeded), ActionRetry},
		"a cut":                             {lost(nil), ActionRetry},
		"a handshake that will fail again":  {verdict{true, lost(nil)}, ActionStop},
		"a handshake that a hop closed":     {verdict{false, &CloseError{Code: CodePolicy, Remote: true}}, ActionRetry},
		"a handshake over a refused dial":   {verdict{false, &DialError{Status: 401, permanent: true}}, ActionRetry},
		"a Redialer that gave up":           {&GaveUpError{Reason: GaveUpStopped, Err: lost(nil)}, ActionStop},
		"a Redialer that ran out of tries":  {&GaveUpError{Reason: GaveUpTries, Err: badURL("no host")}, ActionRetry},
		"the end of another kind of link":   {fmt.Errorf("adapter: %w", io.EOF), ActionStop},
		"the close of another kind of link": {net.ErrClosed, ActionRetry},
		"an unknown error":                  {errors.New("unknown"), ActionRetry},
	} {
		if got := ActionFor(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestActionsHaveNames(t *testing.T) {
	for action, want := range map[RetryAction]string{
		ActionRetry: "retry", ActionWait: "wait", ActionRefresh: "refresh", ActionStop: "stop",
	} {
		if got := action.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
