package transport

import (
	"cmp"
	"fmt"
	"log"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/hopseal/hopseal/internal/safetext"
)

// maxEvents is how many events wait for a slow callback where room says nothing
// else.
const maxEvents = 16

// A notifier hands events on to a callback, one after the other and in order. Its
// goroutine lives while there are some. If the callback is slow, the oldest events
// are left out.
type notifier[E any] struct {
	name string                 // of the callback, for the log
	call func(E)                // nil if nobody listens
	note func(e *E, missed int) // tells e how many were left out before it, unless nil
	room int                    // events that may wait, or 0

	mu     sync.Mutex // guards what follows
	queue  []E
	missed int  // events left out before queue[0]
	active bool // there is a goroutine
}

// emit never waits.
func (n *notifier[E]) emit(e E) {
	if n.call == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, e)
	if len(n.queue) > cmp.Or(n.room, maxEvents) {
		n.queue = slices.Delete(n.queue, 0, 1)
		n.missed++
	}
	if !n.active {
		n.active = true
		go n.run()
	}
}

func (n *notifier[E]) run() {
	for e, missed, ok := n.next(); ok; e, missed, ok = n.next() {
		n.deliver(e, missed)
	}
}

// next takes an event. If there is none the goroutine has to end.
func (n *notifier[E]) next() (e E, missed int, ok bool) {
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
func (n *notifier[E]) deliver(e E, missed int) {
	defer func() {
		if v := recover(); v != nil {
			log.Printf("transport: %s panicked: %s\n%s", n.name, safetext.Line(fmt.Sprint(v), shownReason), debug.Stack())
		}
	}()
	if n.note != nil {
		n.note(&e, missed)
	}
	n.call(e)
}
