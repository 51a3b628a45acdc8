package e2e

import (
	"bytes"
	"slices"

	"github.com/hopseal/hopseal/internal/engine"
)

// Requests need no credit, so what an end holds of them is bounded here, in bytes: those that
// wait, those that are served, and those whose answers wait. Otherwise a peer could have an
// end hold as many of the largest messages as it serves at a time.

// backlog is what a session holds of the other end's requests. The inbox's mu guards it.
type backlog struct {
	waiting int // requests that nobody serves yet
	bytes   int // cost of all requests whose answers are not on their way
	answers int // cost of answers that wait to be sent
}

// maxUnserved is how many requests wait while nobody serves.
const maxUnserved = 64

// A service is one Serve's part of the inbox: the requests that it serves, and those that wait
// for it. The inbox's mu guards it.
type service struct {
	most  int            // requests served at a time
	start func(incoming) // serves a request in a goroutine of its own, which then calls nextRequest

	running int // requests that are served, until their answers are on their way
	queue   []incoming
}

// serve begins a Serve, unless there is one. Requests that came before go to it.
func (a *inbox) serve(sv *service) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.serving != nil {
		return false
	}
	a.serving = sv
	a.served.Store(true)
	waiting := a.messages
	a.messages = nil
	for _, m := range waiting {
		if m.Kind == engine.KindRequest {
			a.serveRequest(m)
		} else {
			a.messages = append(a.messages, m)
		}
	}
	return true
}

// unserve ends a Serve.
func (a *inbox) unserve(sv *service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serving = nil
	a.served.Store(false)
	a.messages = slices.Concat(sv.queue, a.messages)
	sv.queue = nil
	if len(a.messages) > 0 {
		a.wake()
	}
}

// request takes a request in, or reports that there are too many, or too much in them.
func (a *inbox) request(m incoming) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := maxUnserved
	if a.serving != nil {
		most = a.serving.most
	}
	if a.backlog.bytes >= a.window || a.backlog.waiting >= most && !a.ready() {
		return false
	}
	a.backlog.bytes += engine.Cost(m.size)
	a.backlog.waiting++
	if a.serving != nil {
		a.serveRequest(m)
		return true
	}
	a.messages = append(a.messages, m)
	a.wake()
	return true
}

// ready reports whether a request can be served now. The caller holds a.mu.
func (a *inbox) ready() bool {
	sv := a.serving
	return sv != nil && sv.running < sv.most && a.backlog.answers < a.window
}

// serveRequest has a request served now, if there is a place, or later. The caller holds a.mu.
func (a *inbox) serveRequest(m incoming) {
	sv := a.serving
	if sv.queue = append(sv.queue, m); len(sv.queue) == 1 {
		a.serveMore()
	}
}

// serveMore begins to serve what waits and has a place now. The caller holds a.mu.
func (a *inbox) serveMore() {
	for sv := a.serving; a.ready() && len(sv.queue) > 0; {
		m := a.dequeue(sv)
		sv.running++
		sv.start(m)
	}
}

// dequeue takes the first request that waits. The caller holds a.mu.
func (a *inbox) dequeue(sv *service) incoming {
	m := sv.queue[0]
	sv.queue[0] = incoming{}
	if sv.queue = sv.queue[1:]; len(sv.queue) == 0 {
		sv.queue = nil
	}
	a.backlog.waiting--
	return m
}

// nextRequest returns a request that waits for whoever has served one.
func (a *inbox) nextRequest(sv *service) (m incoming, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sv.running--
	if a.serving != sv || len(sv.queue) == 0 || !a.ready() {
		return m, false
	}
	sv.running++
	return a.dequeue(sv), true
}

// A debt is a request that is not answered yet, with the answer that waits: what they count.
type debt struct{ request, answer int }

// answering counts an answer that waits to be sent.
func (a *inbox) answering(m incoming, body []byte) *debt {
	d := &debt{engine.Cost(m.size), engine.Cost(len(body))}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.backlog.answers += d.answer
	return d
}

// settled stops counting a request whose answer is sealed. It is called before the frame is
// written: as soon as the other end has the answer it may send another request.
func (a *inbox) settled(d *debt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.backlog.answers -= d.answer
	a.backlog.bytes -= d.request
	a.serveMore()
}

// dropped stops counting a request that nobody has served. The caller holds the inbox's mu.
func (b *backlog) dropped(m incoming) {
	b.waiting--
	b.bytes -= engine.Cost(m.size)
}

// request hands a request to the Serve that there is, or keeps it for one, or refuses
// it. Its body is somebody else's memory.
func (s *Session) request(m incoming) {
	m.body = bytes.Clone(m.body)
	if !s.inbox.request(m) {
		s.refuse(m, RefusedBusy)
	}
}
