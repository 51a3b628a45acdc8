package trust

import "github.com/hopseal/hopseal/keys"

// A KnownPeer is one admission of [KnownPeers.All].
type KnownPeer struct {
	At      Expected // where it is trusted; Fingerprint is its root
	Level   Level
	Serial  uint64 // the highest that was seen in its statements
	Revoked bool
}

// All lists the admissions, addresses first, then rooms, then clients.
func (k *KnownPeers) All() []KnownPeer {
	n := k.now()
	out := make([]KnownPeer, 0, len(n.admissions))
	for _, a := range n.admissions {
		at := Expected{Role: a.scope.role, Fingerprint: a.root}
		switch a.scope.kind {
		case scopeAddress:
			at.Address = a.scope.name
		case scopeRoom:
			at.Room = a.scope.name
		}
		s := n.state(a.root)
		out = append(out, KnownPeer{at, a.level, s.serial, s.serial == revokedSerial})
	}
	return out
}

// Knows reports whether anything is remembered of a root: it was admitted somewhere once, it
// succeeded such a root, or it was revoked.
func (k *KnownPeers) Knows(root keys.Fingerprint) bool {
	n := k.now()
	return n.state(root) != nil
}

// Revoked reports whether a root is remembered as revoked.
func (k *KnownPeers) Revoked(root keys.Fingerprint) bool {
	n := k.now()
	s := n.state(root)
	return s != nil && s.serial == revokedSerial
}
