package transport

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/netless"
	"github.com/hopseal/hopseal/internal/safetext"
)

// ErrTooLarge is matched by the error of a connection that ended because of a message above the
// limit.
var ErrTooLarge = errors.New("message above the size limit")

// ErrSlowPeer is matched by the error of a connection that a Gate cut because the peer did not take
// what was sent to it.
var ErrSlowPeer = errors.New("the peer took nothing of what was sent to it")

// ErrIdle is matched by the error of a connection that a Gate closed because no message came or
// went.
var ErrIdle = errors.New("no message in either direction")

// ErrRefused is matched by the error of an Accept whose Gate refused the client.
var ErrRefused = errors.New("refused by the gate")

// shownReason bounds how much of a peer's close reason an error shows, in characters.
const shownReason = 200

// A CloseError says how a connection ended. It always matches [net.ErrClosed], and also [io.EOF] if
// the peer closed in an orderly way.
type CloseError struct {
	Code   Code
	Reason string // the words of the side that closed: foreign text if Remote
	Remote bool   // the peer or the network ended the connection, not this end
	Err    error  // the cause; nil for an orderly close

	// RetryAfter is how long the peer asks not to be dialled, at most a day, or 0 if it does not
	// say: see [WaitReason]. Whoever closed may be a hop, so it is a hint; a redial.Redialer obeys
	// it within its MaxRetryAfter.
	RetryAfter time.Duration
}

// Error returns one line. The reason is quoted and escaped.
func (e *CloseError) Error() string {
	s := "transport: " + e.who() + ": " + e.Code.String()
	if e.Reason != "" {
		s += " " + safetext.Quote(e.Reason, shownReason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *CloseError) who() string {
	switch {
	case e.Code == CodeAbnormal && e.Remote:
		return "the connection broke"
	case e.Remote:
		return "the peer closed the connection"
	case e.Err != nil:
		return "we gave up the connection"
	}
	return "we closed the connection"
}

// Unwrap returns net.ErrClosed and the cause.
func (e *CloseError) Unwrap() []error {
	if e.Err == nil {
		return []error{netless.ErrClosed}
	}
	return []error{netless.ErrClosed, e.Err}
}

// Is reports whether target is io.EOF and the peer closed in an orderly way.
func (e *CloseError) Is(target error) bool {
	orderly := e.Code == CodeNormal || e.Code == CodeGoingAway || e.Code == CodeNoStatus
	return target == io.EOF && e.Remote && e.Err == nil && orderly
}

// lost returns the error of a connection that broke without a close message.
func lost(cause error) *CloseError {
	return &CloseError{Code: CodeAbnormal, Remote: true, Err: cause}
}

// gaveUp returns the error of a connection that ended because a caller's context did.
func gaveUp(cause error) *CloseError {
	return &CloseError{Code: CodeAbnormal, Err: cause}
}

// An ending keeps the first reason why a connection ended.
type ending struct {
	once sync.Once
	done chan struct{} // closed when err is set
	err  *CloseError
}

func newEnding() *ending { return &ending{done: make(chan struct{})} }

// set records err as the reason if there is none yet, and reports whether it did.
func (e *ending) set(err *CloseError) (first bool) {
	e.once.Do(func() {
		e.err, first = err, true
		close(e.done)
	})
	return first
}

// over reports whether the connection has ended.
func (e *ending) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// reason waits for the end and returns its error. The caller knows that the end is there or near.
func (e *ending) reason() error {
	<-e.done
	return e.err
}
