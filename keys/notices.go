package keys

import "sync"

// A ChangeNotifier is a Verifier that tells when it has learned something by which a yes
// may have become a no: [KnownPeers], [Authority], and what is made of them. Package e2e
// asks such a Verifier again about every open session, and ends those of whom it does not
// trust any more: not for [TrustExpired], [TrustNotYetValid] and [TrustRolledBack], so one
// of these is said only of whoever is trusted otherwise. A Verifier around one of these
// should pass OnChange on.
type ChangeNotifier interface {
	Verifier

	// OnChange has f called after each such change, until stop is called. Whoever
	// makes the change waits for f, so it returns at once; it may run in several
	// goroutines at a time, and once more just after stop.
	// A nil f panics.
	OnChange(f func()) (stop func())
}

// onChange is OnChange of a Verifier that may offer it.
func onChange(v Verifier, f func()) (stop func()) {
	if n, ok := v.(ChangeNotifier); ok {
		return n.OnChange(f)
	}
	return func() {}
}

// notices are those who want to be told of changes.
type notices struct {
	mu  sync.Mutex           // guards what follows
	who map[*func()]struct{} // by address, since functions do not compare
}

func (n *notices) add(f func()) (stop func()) {
	if f == nil {
		panic(errNil("func()")) // now, and not in whoever makes a change
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.who == nil {
		n.who = map[*func()]struct{}{}
	}
	n.who[&f] = struct{}{}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.who, &f)
	}
}

// tell calls everybody. It is called without locks.
func (n *notices) tell() {
	n.mu.Lock()
	all := make([]func(), 0, len(n.who))
	for f := range n.who {
		all = append(all, *f)
	}
	n.mu.Unlock()
	for _, f := range all {
		f()
	}
}
