// Package freshkeys marks the keys that this process has generated. Package envelope asks for the
// mark: nobody can have sealed messages under such keys before, so the first replay guard of these
// keys has nothing to refuse.
package freshkeys

import "sync/atomic"

// A Mark is a field of a set of keys. Its zero value stands for keys that came from elsewhere.
type Mark struct{ fresh atomic.Bool }

// Set records that the keys were just generated.
func (m *Mark) Set() { m.fresh.Store(true) }

// Take reports whether the mark is set, and clears it: it returns true at most once.
func (m *Mark) Take() bool { return m.fresh.CompareAndSwap(true, false) }

// Of returns the mark of a *keys.Identity or a *keys.SharedKeyset. Package keys sets this variable,
// so that no public method shows the mark.
var Of func(keys any) *Mark

// Take reports whether this process has generated the keys, at most once for each keys.
func Take(keys any) bool { return Of(keys).Take() }
