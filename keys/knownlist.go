package keys

// A KnownPeer is one admission of [KnownPeers.All].
type KnownPeer struct {
	At      Expected // where it is trusted; Fingerprint is its root
	Level   TrustLevel
	Serial  uint64 // the highest that was seen of its statements
	Revoked bool
}

// All lists the admissions, addresses first, then rooms, then clients.
func (k *KnownPeers) All() []KnownPeer {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]KnownPeer, 0, len(k.known.admissions))
	for _, a := range k.known.admissions {
		at := Expected{Role: a.place.role, Fingerprint: a.root}
		switch a.place.kind {
		case placeAddress:
			at.Address = a.place.name
		case placeRoom:
			at.Room = a.place.name
		}
		s := k.known.state(a.root)
		out = append(out, KnownPeer{at, a.level, s.serial, s.serial == revokedSerial})
	}
	return out
}

// Knows reports whether anything is remembered of a root: that it was admitted
// somewhere once, or succeeded one that was.
func (k *KnownPeers) Knows(root Fingerprint) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known.state(root) != nil
}
