package flow

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
)

// Records keep the stored record of one session up to date.
type Records interface {
	// Sync stores what must be stored before the next frame is written.
	Sync() error

	// Save stores the session's state in any case.
	Save(ctx context.Context) error

	// End is called once, when the session is over. The record stays if the session goes on
	// elsewhere.
	End(stays bool)
}

// A spool holds the messages of a stored session that are between its store and its application.
type spool struct {
	flow    *Flow
	records Records

	mu      sync.Mutex    // guards what follows
	pending []*queuedSend // messages that wait to be stored, in the order of their Submits
	handed  []Incoming    // messages that the application has got, and may still be working on
}

// Store makes the session a stored one. It must be called before Start.
func (f *Flow) Store(r Records) { f.spool = &spool{flow: f, records: r} }

// Stored reports whether the session is stored.
func (f *Flow) Stored() bool { return f.spool != nil }

// StoreFailed ends a session whose store has failed, and returns how the session ended. The stored record
// stays.
func (f *Flow) StoreFailed(err error) error {
	switch {
	case errors.Is(err, engine.ErrClosed): // the session has ended; the store is not at fault
		<-f.ended // f.err is set in a moment
		return f.err
	case f.Over():
		return f.err
	case errors.Is(err, sessionstore.ErrFenced):
		return f.Fail(&fault.CloseError{Err: sessionstore.ErrFenced, Stored: true})
	}
	return f.Fail(&fault.CloseError{Err: err, Stored: true})
}

// overInStore reports whether nothing has to be stored any more because the session is over for good. Frames
// that were sealed before are still written, or no later frame could follow.
func (f *Flow) overInStore(err error) bool {
	if !errors.Is(err, engine.ErrClosed) {
		return false
	}
	<-f.ended // f.err is set in a moment
	return !f.err.Stored
}

// hand remembers a message that the application has got.
func (p *spool) hand(m Incoming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Body = nil
	p.handed = append(p.handed, m)
}

// askedBehind is called when the application is done with every message that it has got: it asks for
// another.
func (p *spool) askedBehind() {
	p.mu.Lock()
	handed := p.handed
	p.handed = nil
	p.mu.Unlock()
	for _, m := range handed {
		p.flow.Consumed(m)
	}
}

// post queues a message.
func (p *spool) post(m *queuedSend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, m)
}

// withdraw takes a message out of the queue, and reports whether it was still there.
func (p *spool) withdraw(m *queuedSend) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.pending, m)
	if i >= 0 {
		p.pending = slices.Delete(p.pending, i, i+1)
	}
	return i >= 0
}

// giveUp takes a message out of the queue and returns why. If the message is not there any more, it returns
// the result of sending it.
func (p *spool) giveUp(m *queuedSend, why error) error {
	if p.withdraw(m) {
		return why
	}
	return m.wait()
}

// unsigned returns the first queued message that must be signed for the number that it will get, with the
// signature to be made. It returns nil if there is none.
func (p *spool) unsigned() (*queuedSend, *signing.Signature) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.flow.engine
	room := map[bool]bool{true: e.Room(engine.KindAnswer), false: e.Room(engine.KindMessage)}
	number := e.Sent()
	for _, m := range p.pending {
		if !room[m.Kind.Free()] {
			continue
		}
		if number++; signing.Required(e, m.Kind) && !m.signature.IsFor(number) {
			return m, p.flow.prepare(m.Outgoing, number)
		}
	}
	return nil, nil
}

// signed sets the signature of a message, if the message is still queued.
func (p *spool) signed(m *queuedSend, by *signing.Signature) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.pending, m) {
		m.signature = by
	}
}
