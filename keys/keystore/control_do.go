package keystore

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// do makes the change that a request asks for.
func (s *Store) do(q request) answer {
	var made answer
	err := s.change(q, &made)
	a := answerOf(err)
	a.key, a.next, a.filling = made.key, made.next, made.filling[:min(len(made.filling), maxFilling)]
	return a
}

// answerOf says what an error says, in as many bytes as an answer has room for.
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

func (s *Store) change(q request, a *answer) (err error) {
	switch q.op {
	case opAdmit:
		p, err := keys.ParsePublic(q.data)
		if err != nil {
			return err
		}
		return s.KnownPeers().Admit(q.want, p)
	case opForget:
		return s.KnownPeers().Forget(q.want, q.root)
	case opRevoked:
		p, err := keys.ParsePublic(q.data)
		if err != nil {
			return err
		}
		return s.KnownPeers().Revoke(p)
	case opSucceed:
		succession, err := trust.ParseSuccession(q.data)
		if err != nil {
			return err
		}
		return s.KnownPeers().Succeed(succession)
	case opRotate:
		a.next, a.filling, err = s.rotateFor(q.policy)
		return err
	case opPut, opUpdate:
		return s.changeKeyset(q)
	}
	return s.changeKeys(q, a)
}

func (s *Store) changeKeys(q request, a *answer) (err error) {
	switch q.op {
	case opAdd:
		a.key, err = s.Add(q.ref)
		return err
	case opReplace:
		a.key, err = s.Replace(q.ref)
		return err
	case opPromote:
		return s.Promote(q.ref)
	case opDisable:
		return s.Disable(q.ref)
	case opDestroy:
		return s.Destroy(q.ref)
	case opRenew:
		return s.Renew()
	case opRevoke:
		return s.Revoke()
	}
	return errWire // parseRequest lets no other through
}

func (s *Store) changeKeyset(q request) error {
	set, err := keys.ParseCleartextSharedKeyset(q.data, insecurecleartext.Token{})
	if err != nil {
		return err
	}
	if q.op == opPut {
		return s.PutSharedKeyset(q.ref.Keyset, set)
	}
	return s.UpdateSharedKeyset(q.ref.Keyset, set)
}

// rotateFor takes the steps that are due by the policy of Run, by the one that is asked for where
// the store does not rotate by itself, or by the default.
func (s *Store) rotateFor(asked *RotationPolicy) (time.Time, []*KeysetFullError, error) {
	own := s.control.policy()
	p := DefaultRotation
	switch {
	case own != nil && asked != nil:
		return time.Time{}, nil, ErrOtherPolicy
	case own != nil:
		p = *own
	case asked != nil:
		p = *asked
	}
	next, err := s.Rotate(p)
	return next, s.Filling(p), err
}

// ErrOtherPolicy is wrapped by the error of [Client.Rotate] with a policy, where the writer
// rotates by its own.
var ErrOtherPolicy = errors.New("keys: the process that has the store open rotates by a policy of its own")

// Codes of answers that callers branch on. From codeTrust on it is a [*trust.Error]'s reason.
const (
	codeOther = 1
	codeTrust = 100
)

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

// An answeredError is what the writer said.
type answeredError struct {
	text string
	is   error // what it wraps, nil for nothing
}

func (e *answeredError) Error() string { return e.text }
func (e *answeredError) Unwrap() error { return e.is }

// err turns an answer into the error that the writer had.
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

// about is the peer of a request, zero for none.
func (q request) about() keys.Fingerprint {
	if p, err := keys.ParsePublic(q.data); err == nil {
		return p.Fingerprint()
	}
	return q.root
}
