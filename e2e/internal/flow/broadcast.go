package flow

import "sync"

// A Broadcast wakes everybody who waits for the next event of a kind.
type Broadcast struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits
}

// Next returns a channel that the next Tell closes. Call Next before you look at the state: then no
// change is missed.
func (b *Broadcast) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// Tell wakes everybody who waits.
func (b *Broadcast) Tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
