//go:build !js

package acme

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/servertls"
)

var (
	errClosed  = errors.New("acme: the manager is closed")
	errCrowded = errors.New("too many clients wait for certificates already")
	errNoName  = fmt.Errorf("acme: the client asks for no name: %w", servertls.ErrUnknownName)
)

// A missingError is the error of a handshake for which there is no certificate.
type missingError struct {
	key   certKey
	cause error
	retry time.Duration
}

func (e *missingError) Error() string {
	text := "acme: there is no " + e.key.keyType() + " certificate for " + e.key.host + ": " + e.cause.Error()
	if e.retry > 0 {
		text += fmt.Sprintf("; the next try is in %v", e.retry.Round(time.Second))
	}
	return text
}

func (e *missingError) Unwrap() error { return e.cause }

func isUnknownName(err error) bool { return errors.Is(err, servertls.ErrUnknownName) }

// An orderError says at which step the authority failed, or could not be reached.
type orderError struct {
	step    string
	err     error
	counted bool // the authority accepted the order, so it counts towards its limits
}

func (e *orderError) Error() string {
	return "the authority did not give a certificate, at the step of " + e.step + ": " + safetext.Line(e.err.Error(), maxErrorText)
}

func (e *orderError) Unwrap() error { return e.err }

// failures has one error for each kind of check that one order tried.
type failures []error

func (f failures) Error() string {
	var texts []string
	for _, err := range f {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }
