package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// Defaults of [Mux].
const (
	DefaultMuxTimeout    = time.Minute
	DefaultMuxConcurrent = 64
)

// A Mux serves what arrives in sessions, each type of message by a function of its own.
// What no function serves is refused. Its fields and functions must be set before it is
// used; then it may serve any number of sessions.
//
//	mux := e2e.NewMux()
//	mux.Handle("order.create", createOrder)
//	srv, err := e2e.NewServer(cfg, mux.Serve)
//
// Messages that want no answer are served one after the other, in their order; while one
// is, the others wait, and in the end their sender. Requests are served at the same time.
type Mux struct {
	// Authorize decides whether the peer may send this message, before any function
	// sees it. An error refuses it, with [RefusedUnauthorized]: the error itself stays
	// here. Nil allows every peer that the session allows.
	Authorize func(ctx context.Context, peer Peer, m Message) error

	// Timeout is after what time the context of a function ends. Zero means
	// [DefaultMuxTimeout].
	Timeout time.Duration

	// Concurrent is how many requests of a session are served at a time. As many wait;
	// those beyond are refused with [RefusedBusy], and so are those that come while
	// requests of [Options.Window] bytes are held: a request is until its answer is on its
	// way. While answers of so many bytes wait for the other end to take those before,
	// no request is begun. So a session holds requests of Window bytes and one more, and
	// answers of Window bytes and of Concurrent more, each of at most Config.MaxMessage.
	// Where answers are large and Window is small, say a smaller number. Zero means
	// [DefaultMuxConcurrent].
	Concurrent int

	// OnError is called with what refused a message that a function serves: errors of
	// Authorize, and errors and panics of the function, but no [*ReplyError]. It must not
	// block. Nil tells Config.Logger of the session's end: "message refused" with the type
	// and the reason, unauthorized, value or failed, at level warn, and panic at level
	// error. For each reason there is one line a minute at most, about the latest, with
	// their number.
	OnError func(*Request, error)

	doorbell doorbell

	mu       sync.RWMutex
	handlers map[string]func(context.Context, *Request) ([]byte, error)
}

// A Request is a message that a function of a [Mux] serves.
type Request struct {
	Message
	Session *Session
	OneWay  bool // it wants no answer
}

// NewMux returns a Mux that refuses everything.
func NewMux() *Mux {
	return &Mux{handlers: map[string]func(context.Context, *Request) ([]byte, error){}}
}

// Handle has a function serve the messages of a type. What it returns is the answer, of
// at most [Options.MaxMessage] bytes; nobody is answered who does not want it. If it
// returns an error the message is refused with [RefusedFailed], and nothing of the error
// crosses the wire, except where it is a [*ReplyError]. A panic of the function ends
// nothing else.
//
// The context ends with Serve's and after Timeout, and where an answer is wanted with the
// session; other messages that came before the other end closed are still served. The
// function may use the session, Call included; [RequestFrom] finds the request in the context.
//
// Handle panics if the type is served already, or cannot be one (see [Message]).
func (m *Mux) Handle(typ string, f func(ctx context.Context, r *Request) ([]byte, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !engine.ValidType(typ):
		panic("e2e: Mux.Handle: " + fault.ErrType.Error())
	case f == nil:
		panic("e2e: Mux.Handle: the function is nil")
	case m.handlers[typ] != nil:
		panic(fmt.Sprintf("e2e: Mux.Handle: %q is served already", typ))
	}
	m.handlers[typ] = f
}

func (m *Mux) find(typ string) func(context.Context, *Request) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.handlers[typ]
}

// ErrServing is returned by calls that would take messages from the [Mux] that serves
// the session.
var ErrServing = errors.New("e2e: a Mux serves this session already")

// Serve serves a session until that ends and what came before has been served, or the
// context ends: then the functions that are under way have to return first, and the
// session goes on. The error is the
// [*CloseError], the context's, or [ErrServing]. It fits [NewServer].
func (m *Mux) Serve(ctx context.Context, s *Session) error {
	sv := &serving{mux: m, session: s}
	sv.requests, sv.cancel = context.WithCancel(ctx)
	oneWay, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	sv.oneWay = oneWay
	sv.queue = &service{most: m.concurrent(), start: func(r incoming) {
		sv.work.Add(1)
		go sv.run(r)
	}}
	if !s.inbox.serve(sv.queue) {
		sv.cancel()
		return ErrServing
	}
	defer sv.end()
	defer context.AfterFunc(s.life, sv.cancel)()
	stop := func() {
		if !s.over() || !s.err.Remote {
			cancel()
		}
	}
	defer context.AfterFunc(ctx, stop)()
	defer context.AfterFunc(s.life, stop)()
	s.wanted.Add(1)
	defer s.wanted.Add(-1)
	s.pump()
	for {
		in, err := sv.next(ctx)
		if err != nil {
			return err
		}
		sv.handle(in)
	}
}

// A serving is a Serve under way.
type serving struct {
	mux     *Mux
	session *Session

	requests context.Context    // for functions that serve them: who asked may have gone
	cancel   context.CancelFunc // of that
	oneWay   context.Context    // for others: what was said before the other end closed still counts
	work     sync.WaitGroup     // requests
	queue    *service           // requests that are served or wait
}

// next waits for a message that wants no answer.
func (sv *serving) next(ctx context.Context) (incoming, error) {
	s := sv.session
	for {
		if s.over() && !s.err.Remote {
			return incoming{}, s.err
		}
		over := s.over() // before the last look
		if err := ctx.Err(); err != nil && !over {
			return incoming{}, err
		}
		var m incoming
		if s.inbox.take(&m) {
			return m, nil
		}
		if over {
			return incoming{}, s.err
		}
		select {
		case <-s.inbox.some:
		case <-ctx.Done():
		case <-s.ended:
		}
	}
}

// end stops what is under way. Requests that still wait are left for a later Serve.
func (sv *serving) end() {
	sv.cancel()
	sv.session.inbox.unserve(sv.queue)
	sv.work.Wait()
}

func (m *Mux) concurrent() int {
	if m.Concurrent > 0 {
		return m.Concurrent
	}
	return DefaultMuxConcurrent
}

func (m *Mux) timeout() time.Duration {
	if m.Timeout > 0 {
		return m.Timeout
	}
	return DefaultMuxTimeout
}

// run serves a request, and then those that wait, one after the other.
func (sv *serving) run(m incoming) {
	defer sv.work.Done()
	for ok := true; ok; m, ok = sv.session.inbox.nextRequest(sv.queue) {
		sv.handle(m)
	}
}

// handle serves one message.
func (sv *serving) handle(m incoming) {
	r := &Request{Message: sv.session.message(m), Session: sv.session, OneWay: m.Kind == engine.KindMessage}
	reply, why, err := sv.answer(r)
	switch {
	case !r.OneWay:
		sv.reply(m, r, reply, why, err)
	case why != 0:
		sv.mux.failed(r, why, err)
		sv.session.refuse(m, why)
	default:
		sv.session.consumed(m)
	}
}

// reply sends what became of a request. It waits until that is on its way, and what waits is
// counted meanwhile. What becomes of it then is the session's.
func (sv *serving) reply(m incoming, r *Request, reply []byte, why Refusal, err error) {
	s := sv.session
	owed := s.inbox.answering(m, reply)
	if why == 0 {
		answer := engine.Header{Kind: engine.KindAnswer, Answers: m.number}
		err = s.submit(s.life, &outgoing{Header: answer, body: reply, debt: owed})
		if err == nil || s.over() {
			return
		}
		why = RefusedFailed // too large, or it could not be signed
	}
	sv.mux.failed(r, why, err)
	s.refusedHere.Add(1)
	refusal := refusalOf(m.number, why, err)
	refusal.debt = owed
	s.submit(s.life, refusal)
}

// answer asks whoever decides and whoever serves the type. The reason is 0 if nothing
// is wrong.
func (sv *serving) answer(r *Request) (reply []byte, why Refusal, err error) {
	f := sv.mux.find(r.Type)
	if f == nil {
		return nil, RefusedType, nil
	}
	base := sv.requests
	if r.OneWay {
		base = sv.oneWay
	}
	ctx, cancel := context.WithTimeout(context.WithValue(base, requestKey{}, r), sv.mux.timeout())
	defer cancel()
	if err := sv.authorize(ctx, r); err != nil {
		return nil, RefusedUnauthorized, err
	}
	reply, err = guarded(func() ([]byte, error) { return f(ctx, r) })
	switch bad := (badRequest{}); {
	case err == nil:
		return reply, 0, nil
	case errors.As(err, &bad):
		return nil, RefusedValue, bad.error
	}
	return nil, RefusedFailed, err
}

func (sv *serving) authorize(ctx context.Context, r *Request) error {
	if sv.mux.Authorize == nil {
		return nil
	}
	_, err := guarded(func() ([]byte, error) { return nil, sv.mux.Authorize(ctx, r.Session.Peer(), r.Message) })
	return err
}

// guarded makes a panic an error.
func guarded(f func() ([]byte, error)) (_ []byte, err error) {
	defer fault.Contain(&err)
	return f()
}

// failed tells the application why a message that a function serves was refused.
func (m *Mux) failed(r *Request, why Refusal, err error) {
	var reply *ReplyError
	switch {
	case why == RefusedType || errors.As(err, &reply):
	case m.OnError != nil:
		m.OnError(r, err)
	case !r.Session.over() || errors.As(err, new(*PanicError)): // else it may be no more than the end of the session
		m.doorbell.refused(r.Session.logger(), r, why, err)
	}
}

type requestKey struct{}

// RequestFrom returns the request that a function of a [Mux] was called for, from the
// context that it was given, or nil.
func RequestFrom(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}
