package peer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A50: members whose root is revoked, before they are known or after, have no session, whoever
// began it and whether it has a link; the others keep theirs.
func TestA50MembersFollowTheirVerifier(t *testing.T) {
	for _, dialled := range []bool{false, true} {
		for _, linked := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				h := newHub()
				known := new(trust.KnownPeers)
				cfg := trusting(low)
				cfg.Session.Verifier, cfg.Members = known, nil
				cfg.Address = func(name string) string { return name }
				others := map[string]*keys.Identity{"one": high, "other": mallory}
				members, sessions := map[string]*member{}, map[string]*e2e.Session{}
				a := enterAs(t, h, low.Name(), cfg)
				for name, id := range others {
					if err := known.Admit(trust.Expected{Address: name, Role: trust.RoleMember}, id.Public()); err != nil {
						t.Fatal(err)
					}
					m := enterAs(t, h, name, trusting(id, low))
					members[name] = m
					sessions[name] = met(t, a, m, low.Name(), name, dialled)
				}
				if !linked {
					for _, m := range members {
						m.cut()
					}
				}
				revocation, err := high.Revocation()
				if err == nil {
					err = known.Revoke(revocation)
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				if !isOver(sessions["one"]) || isOver(sessions["other"]) {
					t.Errorf("dialled %v, linked %v: over is the revoked one's %v, the other's %v", dialled, linked, isOver(sessions["one"]), isOver(sessions["other"]))
				}
				if err := sessions["one"].Send(t.Context(), []byte("x")); !errors.Is(err, e2e.ErrUntrusted) {
					t.Errorf("it ended with %v", err)
				}
			})
		}
	}
}

func isOver(s *e2e.Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}
