// Package deadline has the deadlines of a net.Conn: a time that can be moved while
// somebody waits for it.
package deadline

import (
	"context"
	"sync"
	"time"
)

// A Deadline is a context that ends at a time that can be moved. The zero value never
// ends.
type Deadline struct {
	mu     sync.Mutex // guards what follows
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // cancels ctx; nil if there is no time
}

// Context returns a context that has ended if the time is over, and ends when it is.
func (d *Deadline) Context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.init()
	return d.ctx
}

func (d *Deadline) init() {
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancel(context.Background())
	}
}

// Set moves the deadline to t; the zero time is never.
func (d *Deadline) Set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.init()
	if d.timer != nil && !d.timer.Stop() {
		<-d.ctx.Done() // it is being cancelled
	}
	d.timer = nil
	if d.ctx.Err() != nil {
		d.ctx = nil
		d.init()
	}
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		d.cancel()
	default:
		d.timer = time.AfterFunc(wait, d.cancel)
	}
}
