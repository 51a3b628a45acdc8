package trust

import (
	"sync"

	"github.com/hopseal/hopseal/keys/internal/missing"
)

// A ChangeNotifier is a Verifier that tells when it has learned something that may turn a yes into a
// no: [KnownPeers], [Authority], and what is made of them. Package e2e then asks it again about every
// open session, and ends those of peers that are not trusted any more. Package e2e ends none for
// [Expired], [NotYetValid] and [RolledBack], so a ChangeNotifier gives one of these reasons only for
// peers that it trusts otherwise. A Verifier that wraps a ChangeNotifier should pass OnChange on.
type ChangeNotifier interface {
	Verifier

	// OnChange makes the Verifier call f after each such change, until stop is called. Whoever makes
	// the change waits for f, so f must return at once. Several goroutines may call f at a time, and
	// one may call it just after stop. A nil f panics.
	OnChange(f func()) (stop func())
}

// onChange calls OnChange of a Verifier that has it.
func onChange(v Verifier, f func()) (stop func()) {
	if n, ok := v.(ChangeNotifier); ok {
		return n.OnChange(f)
	}
	return func() {}
}

// listeners are the functions to call after a change.
type listeners struct {
	mu    sync.Mutex           // guards what follows
	funcs map[*func()]struct{} // by address, since functions cannot be compared
}

func (l *listeners) add(f func()) (stop func()) {
	mustCall(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.funcs == nil {
		l.funcs = map[*func()]struct{}{}
	}
	l.funcs[&f] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.funcs, &f)
	}
}

// mustCall panics if f is nil: here, and not later where somebody makes a change.
func mustCall(f func()) {
	if f == nil {
		panic(missing.Arg("func()"))
	}
}

// noListener is OnChange of a Verifier that is nil, and so never changes.
func noListener(f func()) (stop func()) {
	mustCall(f)
	return func() {}
}

// call calls all listeners. The caller holds no lock, since they may ask the Verifier.
func (l *listeners) call() {
	l.mu.Lock()
	all := make([]func(), 0, len(l.funcs))
	for f := range l.funcs {
		all = append(all, *f)
	}
	l.mu.Unlock()
	for _, f := range all {
		f()
	}
}
