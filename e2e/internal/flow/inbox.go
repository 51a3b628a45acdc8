package flow

import (
	"sync"
	"sync/atomic"

	"github.com/hopseal/hopseal/internal/engine"
)

// An Incoming is a message from the peer.
type Incoming struct {
	engine.Header
	Number    uint64
	Body      []byte
	Signature []byte // in memory of its own; nil if messages are not signed
	Size      int    // of the whole message, in bytes
}

// An Inbox holds the messages that were read before anybody asked for them.
type Inbox struct {
	some chan struct{} // may hold a token while there is a message

	mu       sync.Mutex // guards what follows
	messages []Incoming // requests among them only while nobody serves
	service  *Service   // the Serve under way, or nil; served says so without mu
	served   atomic.Bool
	backlog  backlog
	window   int // bounds the backlog, in bytes
}

// Some returns a channel that may hold a token while there is a message for Take.
func (b *Inbox) Some() <-chan struct{} { return b.some }

func (b *Inbox) put(m Incoming) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	b.wake()
}

// wake makes one receiver look again.
func (b *Inbox) wake() {
	select {
	case b.some <- struct{}{}:
	default:
	}
}

// Take moves the first message to m, if there is one.
func (b *Inbox) Take(m *Incoming) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) == 0 {
		return false
	}
	*m, b.messages[0] = b.messages[0], Incoming{}
	if b.messages = b.messages[1:]; len(b.messages) > 0 {
		b.wake()
	}
	if m.Kind == engine.KindRequest {
		b.backlog.dropped(*m)
	}
	return true
}

func (b *Inbox) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.messages) > 0
}

func (b *Inbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.Kind == engine.KindRequest {
			b.backlog.dropped(m)
		}
	}
	b.messages = nil
}
