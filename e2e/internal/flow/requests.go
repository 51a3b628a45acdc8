package flow

import (
	"bytes"
	"slices"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// Requests need no credit, so what an end holds of them is bounded here, in bytes: those that
// wait, those that are served, and those whose answers wait. Otherwise a peer could have an
// end hold as many of the largest messages as it serves at a time.

// backlog is what a session holds of the other end's requests. The inbox's mu guards it.
type backlog struct {
	waiting int // requests that nobody serves yet
	bytes   int // cost of all requests whose answers are not sealed yet
	answers int // cost of answers that wait to be sent
}

// maxUnserved is how many requests wait while nobody serves.
const maxUnserved = 64

// A Service is one Serve's part of the inbox: the requests that it serves, and those that wait
// for it. The inbox's mu guards it.
type Service struct {
	Most  int            // requests served at a time
	Start func(Incoming) // serves a request in a goroutine of its own, which then calls NextRequest

	running int // requests that are served, until their answers are sealed
	queue   []Incoming
}

// Serve begins a Serve, unless there is one already. It gets the requests that came before, too.
func (b *Inbox) Serve(sv *Service) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.service != nil {
		return false
	}
	b.service = sv
	b.served.Store(true)
	waiting := b.messages
	b.messages = nil
	for _, m := range waiting {
		if m.Kind == engine.KindRequest {
			b.serveRequest(m)
		} else {
			b.messages = append(b.messages, m)
		}
	}
	return true
}

// Unserve ends a Serve.
func (b *Inbox) Unserve(sv *Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service = nil
	b.served.Store(false)
	b.messages = slices.Concat(sv.queue, b.messages)
	sv.queue = nil
	if len(b.messages) > 0 {
		b.wake()
	}
}

// request takes a request in. It reports false if there are too many, or too many bytes of them.
func (b *Inbox) request(m Incoming) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := maxUnserved
	if b.service != nil {
		most = b.service.Most
	}
	if b.backlog.bytes >= b.window || b.backlog.waiting >= most && !b.ready() {
		return false
	}
	b.backlog.bytes += engine.Cost(m.Size)
	b.backlog.waiting++
	if b.service != nil {
		b.serveRequest(m)
		return true
	}
	b.messages = append(b.messages, m)
	b.wake()
	return true
}

// ready reports whether a request can be served now. The caller holds b.mu.
func (b *Inbox) ready() bool {
	sv := b.service
	return sv != nil && sv.running < sv.Most && b.backlog.answers < b.window
}

// serveRequest begins to serve a request, or lets it wait if too many are served. The caller holds b.mu.
func (b *Inbox) serveRequest(m Incoming) {
	sv := b.service
	if sv.queue = append(sv.queue, m); len(sv.queue) == 1 {
		b.serveMore()
	}
}

// serveMore begins to serve as many waiting requests as it may. The caller holds b.mu.
func (b *Inbox) serveMore() {
	for sv := b.service; b.ready() && len(sv.queue) > 0; {
		m := b.dequeue(sv)
		sv.running++
		sv.Start(m)
	}
}

// dequeue removes the first waiting request. The caller holds b.mu.
func (b *Inbox) dequeue(sv *Service) Incoming {
	m := sv.queue[0]
	sv.queue[0] = Incoming{}
	if sv.queue = sv.queue[1:]; len(sv.queue) == 0 {
		sv.queue = nil
	}
	b.backlog.waiting--
	return m
}

// NextRequest returns the next waiting request for a goroutine that has served one.
func (b *Inbox) NextRequest(sv *Service) (m Incoming, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sv.running--
	if b.service != sv || len(sv.queue) == 0 || !b.ready() {
		return m, false
	}
	sv.running++
	return b.dequeue(sv), true
}

// A Debt is the cost of an unanswered request, and of its answer that waits to be sent.
type Debt struct{ request, answer int }

// Answering counts an answer that waits to be sent, and returns the Debt to settle.
func (b *Inbox) Answering(m Incoming, body []byte) *Debt {
	d := &Debt{engine.Cost(m.Size), engine.Cost(len(body))}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backlog.answers += d.answer
	return d
}

// settled stops counting a request whose answer is sealed. The caller calls it before it writes the frame:
// as soon as the other end has the answer it may send another request.
func (b *Inbox) settled(d *Debt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backlog.answers -= d.answer
	b.backlog.bytes -= d.request
	b.serveMore()
}

// dropped stops counting a request that nobody has served. The caller holds the inbox's mu.
func (l *backlog) dropped(m Incoming) {
	l.waiting--
	l.bytes -= engine.Cost(m.Size)
}

// request gives a request to the current Serve, or keeps it for a later one, or refuses it. It copies the
// body, which is valid during the call only.
func (f *Flow) request(m Incoming) {
	m.Body = bytes.Clone(m.Body)
	if !f.Inbox.request(m) {
		f.Refuse(m, fault.RefusedBusy)
	}
}
