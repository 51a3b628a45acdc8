package fault

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A PanicError is a panic of a server's function or of its Verifier.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the value in one line, and the stack in many.
func (e *PanicError) Error() string {
	return Line(e) + "\n" + string(e.Stack)
}

// Line returns a panic's value in one line.
func Line(e *PanicError) string {
	return "e2e: panic: " + safetext.Line(fmt.Sprint(e.Value), MaxShown)
}

// MaxShown is how many characters of an application's error or panic are shown.
const MaxShown = 1000

// ErrGoexit is the error of a call that ended its goroutine instead of returning.
var ErrGoexit = errors.New("e2e: runtime.Goexit was called where an answer was waited for")

// Contain turns a panic into an error. Defer it.
func Contain(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}
