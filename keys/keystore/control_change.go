package keystore

import (
	"time"

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
	return errWire // parseRequest refuses every other
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

// rotateFor takes the steps that are due by the policy of Run. If no Run is under way, it uses the
// requested policy, or the default.
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
