//go:build !js

package trust

import "github.com/hopseal/hopseal/keys/internal/bridge"

// init offers what only keys/keystore does with a list of known peers.
func init() {
	bridge.Offer(bridge.KnownPeers[*KnownPeers]{
		Persist: func(k *KnownPeers, write func([]byte) (bool, error)) { k.persist = write },
		Replace: func(k, to *KnownPeers) bool { return k.replace(to.now()) },
		Tell:    func(k *KnownPeers) { k.listeners.call() },
	})
}

// replace makes next known, which another process has written. It keeps what this process has learned
// itself of these roots: revocations, and later statements. It reports whether the listeners have
// something to hear; the caller calls them.
func (k *KnownPeers) replace(next snapshot) (changed bool) {
	k.changing.Lock()
	defer k.changing.Unlock()
	before := k.now()
	next.owned = true // nobody else has it yet
	for _, s := range before.roots {
		switch t := next.state(s.root); {
		case s.serial == revokedSerial && (t == nil || t.serial != revokedSerial):
			next.revoke(s.root, s.digest)
		case t != nil && t.serial < s.serial:
			t.serial, t.digest = s.serial, s.digest
		}
	}
	next.owned = false
	k.known.Store(&next)
	return !next.trustsSame(before)
}
