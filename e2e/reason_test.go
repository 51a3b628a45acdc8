package e2e_test

import (
	"errors"
	"testing"

	"github.com/hopseal/hopseal/e2e"
)

func TestReasonOfNamesAnErrorInOneWord(t *testing.T) {
	for want, err := range map[string]error{
		"untrusted":   &e2e.HandshakeError{Reason: e2e.ReasonUntrusted},
		"peer_closed": &e2e.CloseError{Remote: true},
		"tampered":    &e2e.CloseError{Err: e2e.ErrTampered},
		"failed":      errors.New("something else"),
	} {
		if got := e2e.ReasonOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}
