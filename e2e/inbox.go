package e2e

import (
	"sync"
	"sync/atomic"

	"github.com/hopseal/hopseal/internal/engine"
)

// incoming is a message that has come.
type incoming struct {
	engine.Header
	number    uint64
	body      []byte
	signature []byte // in a memory of its own, if there is one
	size      int    // of all of it, in bytes
}

// inbox holds the messages that were read before anybody asked for them.
type inbox struct {
	some chan struct{} // may hold a token while there is a message

	mu       sync.Mutex
	messages []incoming // requests among them only while nobody serves
	serving  *service   // the Serve under way, or nil; served says so without mu
	served   atomic.Bool
	backlog  backlog
	window   int // bounds the backlog, in bytes
}

func (a *inbox) put(m incoming) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.messages = append(a.messages, m)
	a.wake()
}

// wake lets one Receive look again.
func (a *inbox) wake() {
	select {
	case a.some <- struct{}{}:
	default:
	}
}

// take moves the first message to m, if there is one.
func (a *inbox) take(m *incoming) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.messages) == 0 {
		return false
	}
	*m, a.messages[0] = a.messages[0], incoming{}
	if a.messages = a.messages[1:]; len(a.messages) > 0 {
		a.wake()
	}
	if m.Kind == engine.KindRequest {
		a.backlog.dropped(*m)
	}
	return true
}

func (a *inbox) any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.messages) > 0
}

func (a *inbox) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.messages {
		if m.Kind == engine.KindRequest {
			a.backlog.dropped(m)
		}
	}
	a.messages = nil
}
