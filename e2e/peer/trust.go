package peer

import (
	"context"
	"slices"

	"github.com/hopseal/hopseal/keys"
)

// verifier asks the application's Verifier about members, and decides who is let in.
type verifier struct {
	node *Node
	keys.Verifier
}

// Verify is described at [keys.Verifier].
func (v verifier) Verify(ctx context.Context, want keys.Expected, got *keys.PublicIdentity) error {
	l, _ := ctx.Value(linkKeyOf{}).(*link)
	member := keys.Expected{Address: want.Address, Role: keys.RoleMember, Fingerprint: want.Fingerprint}
	if want.Role == keys.RoleClient {
		member.Address = v.node.addressOf(l, got.Fingerprint())
	}
	if err := v.Verifier.Verify(ctx, member, got); err != nil {
		return err
	}
	if want.Role != keys.RoleClient || l == nil || l.resumes {
		return nil
	}
	return v.node.admit(l, got.Fingerprint())
}

// addressOf returns the address of a member that has opened a link, or of one with whom
// there is a session, where l is nil. Who comes back does so under the name that the
// session is with: the relay may call him something else by now, and what he is then
// refused would end the session.
func (n *Node) addressOf(l *link, peer keys.Fingerprint) string {
	if l != nil && !l.resumes {
		return n.address(l.name)
	}
	names := n.namesOf(peer)
	switch {
	case l != nil && (len(names) == 0 || slices.Contains(names, l.name)):
		return n.address(l.name)
	case len(names) == 0:
		return ""
	}
	return n.address(names[0])
}

// namesOf returns the names under which there are sessions with a peer.
func (n *Node) namesOf(peer keys.Fingerprint) (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.met {
		if m.peer == peer && !over(m.session) {
			names = append(names, m.name)
		}
	}
	for l, coming := range n.coming {
		if coming == peer {
			names = append(names, l.name)
		}
	}
	return names
}
