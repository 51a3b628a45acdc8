package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/internal/engine"
)

// A Handler serves the messages of a session, see [Session.Serve]. What it returns is the
// answer, of at most [Options.MaxMessage] bytes; nobody is answered who does not want it.
//
// If it returns an error the message is refused with [RefusedFailed], or for the reason
// that [Refuse] gives. Nothing of the error crosses the wire, except where it is a
// [*ReplyError]. A panic of a Handler counts as an error, and ends nothing else.
//
// The context ends after [ServeOptions.Timeout] and with the context of Serve. Where an
// answer is wanted it ends with the session too; other messages that came before the
// other end closed are still served. A Handler may use the session, Call included.
type Handler func(ctx context.Context, r *Request) (answer []byte, err error)

// A Request is a message that a [Handler] serves.
type Request struct {
	Message
	Session *Session
	OneWay  bool // it wants no answer
}

// ServeOptions are those of [Session.Serve]. They may be shared by any number of
// sessions, and must not be changed or copied then.
type ServeOptions struct {
	// Timeout is after what time the context of a Handler ends. Zero means a minute.
	Timeout time.Duration

	// Concurrent is how many requests of a session are served at a time. As many wait;
	// those beyond are refused with [RefusedBusy], and so are those that come while
	// requests of [Options.Window] bytes are held: a request is until its answer is on its
	// way. While answers of so many bytes wait for the other end to take those before,
	// no request is begun. So a session holds requests of Window bytes and one more, and
	// answers of Window bytes and of Concurrent more, each of at most Options.MaxMessage.
	// Where answers are large and Window is small, say a smaller number. Zero means 64.
	Concurrent int

	// OnError is called with why a message was refused: errors and panics of the Handler,
	// but no [*ReplyError], and nothing that is refused with [RefusedType]. It must not
	// block. Nil tells Options.Logger of the session's end: "message refused" with the type
	// and the reason, unauthorized, value or failed, at level warn, and panic at level
	// error. For each reason there is one line a minute at most, about the latest, with
	// their number, for all sessions that share these options.
	OnError func(*Request, error)

	doorbell outcome.Doorbell
}

const (
	serveTimeout    = time.Minute
	serveConcurrent = 64
)

func (o *ServeOptions) concurrent() int {
	if o.Concurrent > 0 {
		return o.Concurrent
	}
	return serveConcurrent
}

func (o *ServeOptions) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return serveTimeout
}

// failed tells the application why a message was refused.
func (o *ServeOptions) failed(r *Request, why Refusal, err error) {
	var reply *ReplyError
	switch {
	case why == RefusedType || errors.As(err, &reply):
	case o.OnError != nil:
		o.OnError(r, err)
	case !r.Session.flow.Over() || errors.As(err, new(*PanicError)): // else it may be no more than the end of the session
		s := r.Session
		o.doorbell.Refused(s.local.logger, s.subject(s.Info().Transport), r.Type, why, err)
	}
}

// Serve has a Handler serve the messages of the session: package mux has one that calls a
// function for each type. Messages that want no answer are served one after the other, in
// their order; while one is, the others wait, and in the end their sender. Requests are
// served at the same time. Nil options mean their zero value.
//
// Serve returns when the session has ended and what came before has been served, or when
// the context ends: then the calls that are under way have to return first, and the
// session goes on. The error is the [*CloseError], or the context's. While a Serve is under
// way another one fails at once.
func (s *Session) Serve(ctx context.Context, h Handler, o *ServeOptions) error {
	if h == nil {
		return errors.New("e2e: Session.Serve: the Handler is nil")
	}
	if o == nil {
		o = new(ServeOptions)
	}
	sv := &serving{handler: h, options: o, session: s}
	sv.requests, sv.cancel = context.WithCancel(ctx)
	oneWay, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	sv.oneWay = oneWay
	sv.queue = &flow.Service{Most: o.concurrent(), Start: func(r flow.Incoming) {
		sv.work.Add(1)
		go sv.run(r)
	}}
	if !s.flow.Inbox.Serve(sv.queue) {
		sv.cancel()
		return flow.ErrServing
	}
	defer sv.end()
	defer context.AfterFunc(s.flow.Life(), sv.cancel)()
	stop := func() {
		if !s.flow.Over() || !s.flow.Err().Remote {
			cancel()
		}
	}
	defer context.AfterFunc(ctx, stop)()
	defer context.AfterFunc(s.flow.Life(), stop)()
	s.flow.Want()
	defer s.flow.Unwant()
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
	handler Handler
	options *ServeOptions
	session *Session

	requests context.Context    // for Handlers of them: who asked may have gone
	cancel   context.CancelFunc // of that
	oneWay   context.Context    // for others: what was said before the other end closed still counts
	work     sync.WaitGroup     // requests
	queue    *flow.Service      // requests that are served or wait
}

// next waits for a message that wants no answer.
func (sv *serving) next(ctx context.Context) (flow.Incoming, error) {
	s := sv.session
	for {
		if s.flow.Over() && !s.flow.Err().Remote {
			return flow.Incoming{}, s.flow.Err()
		}
		over := s.flow.Over() // before the last look
		if err := ctx.Err(); err != nil && !over {
			return flow.Incoming{}, err
		}
		var m flow.Incoming
		if s.flow.Inbox.Take(&m) {
			return m, nil
		}
		if over {
			return flow.Incoming{}, s.flow.Err()
		}
		select {
		case <-s.flow.Inbox.Some():
		case <-ctx.Done():
		case <-s.flow.Done():
		}
	}
}

// end stops what is under way. Requests that still wait are left for a later Serve.
func (sv *serving) end() {
	sv.cancel()
	sv.session.flow.Inbox.Unserve(sv.queue)
	sv.work.Wait()
}

// run serves a request, and then those that wait, one after the other.
func (sv *serving) run(m flow.Incoming) {
	defer sv.work.Done()
	for ok := true; ok; m, ok = sv.session.flow.Inbox.NextRequest(sv.queue) {
		sv.handle(m)
	}
}

// handle serves one message.
func (sv *serving) handle(m flow.Incoming) {
	r := &Request{Message: sv.session.message(m), Session: sv.session, OneWay: m.Kind == engine.KindMessage}
	reply, why, err := sv.answer(r)
	switch {
	case !r.OneWay:
		sv.reply(m, r, reply, why, err)
	case why != 0:
		sv.options.failed(r, why, err)
		sv.session.flow.Refuse(m, why)
	default:
		sv.session.flow.Consumed(m)
	}
}

// reply sends what became of a request. It waits until that is on its way, and what waits is
// counted meanwhile. What becomes of it then is the session's.
func (sv *serving) reply(m flow.Incoming, r *Request, reply []byte, why Refusal, err error) {
	s := sv.session
	owed := s.flow.Inbox.Answering(m, reply)
	if why == 0 {
		answer := engine.Header{Kind: engine.KindAnswer, Answers: m.Number}
		err = s.flow.Submit(s.flow.Life(), &flow.Outgoing{Header: answer, Body: reply, Debt: owed})
		if err == nil || s.flow.Over() {
			return
		}
		why = RefusedFailed // too large, or it could not be signed
	}
	sv.options.failed(r, why, err)
	s.flow.Reject(m, why, err, owed)
}

// answer asks the Handler. The reason is 0 if nothing is wrong.
func (sv *serving) answer(r *Request) (reply []byte, why Refusal, err error) {
	base := sv.requests
	if r.OneWay {
		base = sv.oneWay
	}
	ctx, cancel := context.WithTimeout(base, sv.options.timeout())
	defer cancel()
	if reply, err = sv.guarded(ctx, r); err == nil {
		return reply, 0, nil
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return nil, refused.why, refused.reason()
	}
	return nil, RefusedFailed, err
}

// guarded makes a panic of the Handler an error.
func (sv *serving) guarded(ctx context.Context, r *Request) (_ []byte, err error) {
	defer fault.Contain(&err)
	return sv.handler(ctx, r)
}

// Refuse returns an error for a [Handler] to return: the message is refused with why, and
// cause, which may be nil, goes to [ServeOptions.OnError].
func Refuse(why Refusal, cause error) error { return &refusal{sendable(why), cause} }

// sendable keeps numbers off the wire that say nothing, or something else.
func sendable(why Refusal) Refusal {
	if _, known := fault.RefusalText(why); known {
		return why
	}
	return RefusedFailed
}

type refusal struct {
	why   Refusal
	cause error
}

// reason is what is told at this end.
func (e *refusal) reason() error {
	if e.cause != nil {
		return e.cause
	}
	return e
}

func (e *refusal) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	text, _ := fault.RefusalText(e.why)
	return "e2e: refused: " + text
}

func (e *refusal) Unwrap() error { return e.cause }
