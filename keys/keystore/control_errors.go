package keystore

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// answerOf returns the answer for an error, with as much of its text as fits.
func answerOf(err error) (a answer) {
	if err == nil {
		return a
	}
	a.code, a.text = codeOf(err), safetext.Line(strings.ReplaceAll(err.Error(), "\n", "; "), maxAnswerText/4-1)
	if a.text == "" {
		a.text = "the change failed"
	}
	return a
}

// ErrOtherPolicy is wrapped by the error of [Client.Rotate] with a policy if the writer rotates by one
// of its own.
var ErrOtherPolicy = errors.New("keys: the process that has the store open rotates by a policy of its own")

var codes = []error{2: ErrNotDurable, ErrOwner, ErrStage, keys.ErrRevoked, keys.ErrDetached, ErrKeysetFull, ErrSharedHistory, ErrClosed, ErrReplaced,
	ErrOtherPolicy, trust.ErrNotRevocation, trust.ErrTooManyRevoked, fs.ErrPermission, ErrClock, ErrWriterBusy}

func codeOf(err error) uint64 {
	if t, ok := errors.AsType[*trust.Error](err); ok {
		return codeTrust + uint64(t.Reason)
	}
	for code, known := range codes {
		if known != nil && errors.Is(err, known) {
			return uint64(code)
		}
	}
	return codeOther
}

// An answeredError is an error of the writer that a client has got in an answer.
type answeredError struct {
	text string
	is   error // what it wraps, nil for nothing
}

func (e *answeredError) Error() string { return e.text }

func (e *answeredError) Unwrap() error { return e.is }

// err returns the error that the writer had, nil for none.
func (a answer) err(q request) error {
	switch {
	case a.code == 0:
		return nil
	case a.code > codeTrust:
		return &answeredError{a.text, &trust.Error{Reason: trust.Reason(a.code - codeTrust), Want: q.want, Got: q.about()}}
	case a.code < uint64(len(codes)) && codes[a.code] != nil:
		return &answeredError{a.text, codes[a.code]}
	}
	return &answeredError{a.text, nil}
}

// about returns the fingerprint of the peer that a request is about, zero for none.
func (q request) about() keys.Fingerprint {
	if p, err := keys.ParsePublic(q.data); err == nil {
		return p.Fingerprint()
	}
	return q.root
}
