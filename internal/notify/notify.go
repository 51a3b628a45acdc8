// Package notify hands events on to callbacks, so that nobody waits for one that is slow.
package notify

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/hopseal/hopseal/internal/safetext"
)

// MaxEvents is how many events wait for a slow callback where Room says nothing
// else.
const MaxEvents = 16

// shown bounds the text of a panic in the log, in characters.
const shown = 200

// A Notifier hands events on to a callback, one after the other and in order. Its
// goroutine lives while there are some. If the callback is slow, the oldest events
// are left out.
type Notifier[E any] struct {
	Name string                 // of the callback, for the log
	Call func(E)                // nil if nobody listens
	Note func(e *E, missed int) // tells e how many were left out before it, unless nil
	Room int                    // events that may wait, or 0 for 16

	mu     sync.Mutex // guards what follows
	queue  []E
	missed int  // events left out before queue[0]
	active bool // there is a goroutine
}

// Emit never waits.
func (n *Notifier[E]) Emit(e E) {
	if n.Call == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, e)
	if len(n.queue) > cmp.Or(n.Room, MaxEvents) {
		n.queue = slices.Delete(n.queue, 0, 1)
		n.missed++
	}
	if !n.active {
		n.active = true
		go n.run()
	}
}

func (n *Notifier[E]) run() {
	for e, missed, ok := n.next(); ok; e, missed, ok = n.next() {
		n.deliver(e, missed)
	}
}

// next takes an event. If there is none the goroutine has to end.
func (n *Notifier[E]) next() (e E, missed int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.active = false
		return e, 0, false
	}
	e, missed = n.queue[0], n.missed
	n.queue, n.missed = slices.Delete(n.queue, 0, 1), 0
	return e, missed, true
}

// deliver survives a callback that panics, as net/http does.
func (n *Notifier[E]) deliver(e E, missed int) {
	defer func() {
		if v := recover(); v != nil {
			report(n.Name + " panicked: " + safetext.Line(fmt.Sprint(v), shown) + "\n" + string(debug.Stack()))
		}
	}()
	if n.Note != nil {
		n.Note(&e, missed)
	}
	n.Call(e)
}
