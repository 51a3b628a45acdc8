package aside

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
)

func call(how string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		switch how {
		case "panics":
			panic("it is broken")
		case "ends its goroutine":
			runtime.Goexit()
		case "fails":
			return "half an answer", errors.New("no")
		}
		return "yes", nil
	}
}

func TestA06WhoeverDoesNotAnswerHasNotSaidYes(t *testing.T) {
	turns := Limit(1)
	for how, want := range map[string]func(error) bool{
		"returns":            func(err error) bool { return err == nil },
		"fails":              func(err error) bool { return err != nil && err.Error() == "no" },
		"panics":             func(err error) bool { return errors.As(err, new(*fault.PanicError)) },
		"ends its goroutine": func(err error) bool { return err == fault.ErrGoexit },
	} {
		answer, err := Call(t.Context(), turns, call(how))
		if !want(err) || how == "returns" != (answer == "yes") {
			t.Errorf("%s: %q, %v", how, answer, err)
		}
	}
}

// A58: nobody waits for a call longer than the context lasts, and the call keeps its turn until
// it has returned.
func TestA58CallKeepsItsTurnUntilItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, released := Limit(1), make(chan struct{})
		soon := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		hangs := func(context.Context) error { <-released; return nil }
		if err := Do(soon(), turns, hangs); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that hangs: %v", err)
		}
		called := false
		if err := Do(soon(), turns, func(context.Context) error { called = true; return nil }); called || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call without a turn: %v", err)
		}
		close(released)
		synctest.Wait()
		if err := Do(soon(), turns, func(context.Context) error { return nil }); err != nil {
			t.Errorf("after the call has returned: %v", err)
		}
	})
}
