package peer

import (
	"context"
	"fmt"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/about"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A verifier asks the application's Verifier about members, and decides who is let in.
type verifier struct {
	node *Node
	trust.Verifier
	expected map[string]keys.Fingerprint // by address; nil leaves it to the Verifier
}

// newVerifier returns the verifier of a Config. If that has no Verifier, the Members are all that is
// trusted.
func newVerifier(n *Node, cfg Config) (trust.Verifier, error) {
	v := verifier{n, cfg.Session.Verifier, nil}
	if cfg.Members == nil {
		if pins, ok := v.Verifier.(interface{ Several() bool }); ok && pins.Several() {
			return nil, fmt.Errorf("peer: %w", ErrNames)
		}
		if v.Verifier == nil {
			return nil, nil // which NewServer refuses
		}
		return v, nil
	}
	v.expected = make(map[string]keys.Fingerprint, len(cfg.Members))
	var all []keys.Fingerprint
	for name, who := range cfg.Members {
		address := n.address(name)
		if other, taken := v.expected[address]; taken && other != who {
			return nil, fmt.Errorf("peer: Config.Address gives %q to two of the Members", address)
		}
		v.expected[address], all = who, append(all, who)
	}
	if v.Verifier == nil {
		v.Verifier = trust.Pinned(all...)
	}
	return v, nil
}

// Verify is described at [trust.Verifier].
func (v verifier) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	l, _ := about.Life(ctx).Value(linkKeyOf{}).(*link)
	member := trust.Expected{Address: want.Address, Role: trust.RoleMember, Fingerprint: want.Fingerprint}
	begins := want.Role == trust.RoleClient && l != nil
	if begins {
		// For an existing session, this is the link on which it began. The relay may call the
		// member something else by now, and a refusal under that name would end the session.
		member.Address = v.node.address(l.name)
	}
	if err := v.checkMember(&member, got); err != nil {
		return err
	}
	if err := v.Verifier.Verify(ctx, member, got); err != nil || !begins {
		return err
	}
	return v.node.admit(l, got.Fingerprint())
}

// OnChange calls that of the application's Verifier, if it has one: the server and the sessions that
// this end has begun are told.
func (v verifier) OnChange(f func()) (stop func()) {
	if n, ok := v.Verifier.(trust.ChangeNotifier); ok {
		return n.OnChange(f)
	}
	return func() {}
}

// checkMember refuses everybody but the one of the Members who is expected under the address, whatever
// the Verifier says. It sets the expected fingerprint.
func (v verifier) checkMember(member *trust.Expected, got *keys.PublicIdentity) error {
	if v.expected == nil {
		return nil
	}
	who, known := v.expected[member.Address]
	switch {
	case !known:
		return &trust.Error{Reason: trust.Unknown, Want: *member, Got: got.Fingerprint()}
	case got.Fingerprint() != who:
		return &trust.Error{Reason: trust.Changed, Want: *member, Got: got.Fingerprint(), Known: []keys.Fingerprint{who}}
	}
	if (member.Fingerprint == keys.Fingerprint{}) {
		member.Fingerprint = who
	}
	return nil
}

// Recheck asks the Verifier again about the other end of every session, under the name that the
// session is with. It is for a Verifier that has learned something and does not tell so itself, see
// [trust.ChangeNotifier]. It asks about sessions without a link too. It ends those that are refused,
// and returns the first error of a Verifier that has no answer. See [e2e.Session.Recheck].
func (n *Node) Recheck(ctx context.Context) error {
	first := n.server.Recheck(ctx)
	for _, s := range n.dialledSessions() {
		if err := s.Recheck(ctx); first == nil && !over(s) {
			first = err
		}
	}
	return first
}

// dialledSessions returns the sessions that this end has begun and that count.
func (n *Node) dialledSessions() (sessions []*e2e.Session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.sessions {
		if m.dialled {
			sessions = append(sessions, m.session)
		}
	}
	return sessions
}
