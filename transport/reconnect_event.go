package transport

import (
	"fmt"
	"log"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A LinkState is what a [Redialer] is doing.
type LinkState int

const (
	LinkConnecting LinkState = iota + 1 // it dials
	LinkConnected                       // it has returned a connection
	LinkWaiting                         // it waits before it dials again, or for a network
	LinkGaveUp                          // it has returned an error
)

// String returns the state in words.
func (s LinkState) String() string {
	switch s {
	case LinkConnecting:
		return "connecting"
	case LinkConnected:
		return "connected"
	case LinkWaiting:
		return "waiting"
	case LinkGaveUp:
		return "gave up"
	}
	return "unknown"
}

// A LinkEvent tells a state that has begun.
type LinkEvent struct {
	State LinkState
	Try   int // dials since the last stable connection, this one included

	Until   time.Time // while waiting: when the next try is due
	Offline bool      // while waiting: the browser is offline, and the next try waits for its network too
	Why     error     // why it waits, or a *GaveUpError; nil otherwise and while the first dial waits for a network

	Missed int // events before this one that were left out, because Notify was slow
}

// maxEvents is how many events wait for a slow Notify.
const maxEvents = 16

// A notifier hands events on in order. Its goroutine lives while there are some.
type notifier struct {
	call func(LinkEvent) // nil if nobody listens

	mu     sync.Mutex // guards what follows
	queue  []LinkEvent
	active bool // there is a goroutine
}

// emit never waits.
func (n *notifier) emit(e LinkEvent) {
	if n.call == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, e)
	if len(n.queue) > maxEvents {
		n.queue[1].Missed += n.queue[0].Missed + 1
		n.queue = slices.Delete(n.queue, 0, 1)
	}
	if !n.active {
		n.active = true
		go n.run()
	}
}

func (n *notifier) run() {
	for e, ok := n.next(); ok; e, ok = n.next() {
		n.deliver(e)
	}
}

// next takes an event. If there is none the goroutine has to end.
func (n *notifier) next() (e LinkEvent, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.active = false
		return e, false
	}
	e = n.queue[0]
	n.queue = slices.Delete(n.queue, 0, 1)
	return e, true
}

// deliver survives a callback that panics, as net/http does.
func (n *notifier) deliver(e LinkEvent) {
	defer func() {
		if v := recover(); v != nil {
			log.Printf("transport: Retry.Notify panicked: %s\n%s", safetext.Line(fmt.Sprint(v), shownReason), debug.Stack())
		}
	}()
	n.call(e)
}
