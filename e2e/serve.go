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

// A Handler serves the messages of a session, see [Session.Serve]. It returns the answer, of at most
// [Options.MaxMessage] bytes. The answer to a message that wants none is dropped.
//
// If it returns an error the message is refused with [RefusedFailed], or for the reason in the error of
// [Refuse]. Nothing of the error crosses the wire, unless it is a [*ReplyError]. A panic of a Handler
// counts as an error, and ends nothing else.
//
// The context ends after [ServeOptions.Timeout] and with the context of Serve. For a message that wants an
// answer it ends with the session too. Other messages that came before the other end closed are still
// served. A Handler may use the session, also for a Call.
type Handler func(ctx context.Context, r *Request) (answer []byte, err error)

// A Request is a message that a [Handler] serves.
type Request struct {
	Message
	Session *Session
	OneWay  bool // it wants no answer
}

// ServeOptions are the options of [Session.Serve]. Any number of sessions may share them. Do not change or
// copy them once they are in use.
type ServeOptions struct {
	// Timeout is the time after which the context of a Handler ends. Zero means a minute.
	Timeout time.Duration

	// Concurrent is how many requests of a session are served at a time. As many more may wait;
	// further ones are refused with [RefusedBusy]. So are requests that come while the session
	// holds requests of [Options.Window] bytes; it holds a request until its answer is being
	// sent. While answers of Window bytes wait until the other end has taken earlier ones,
	// the session begins to serve no request. So a session holds requests of Window bytes and
	// one more, and answers of Window bytes and Concurrent more, each of at most
	// Options.MaxMessage. If answers are large and Window is small, set a smaller number. Zero
	// means 64.
	Concurrent int

	// OnError is called with the reason why a message was refused: errors and panics of the
	// Handler, but no [*ReplyError], and nothing for [RefusedType]. It must not block. If it is
	// nil, the session's Options.Logger gets "message refused" with the type and the reason:
	// unauthorized, value or failed at level warn, panic at level error. For each reason there
	// is at most one line a minute, about the latest message, with their number, for all
	// sessions that share these options.
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

// failed reports to the application, or logs, why a message was refused.
func (o *ServeOptions) failed(r *Request, why Refusal, err error) {
	var reply *ReplyError
	switch {
	case why == RefusedType || errors.As(err, &reply):
	case o.OnError != nil:
		o.OnError(r, err)
	case !r.Session.flow.Over() || errors.As(err, new(*PanicError)): // else the end of the session may be the cause
		s := r.Session
		o.doorbell.Refused(s.local.logger, s.subject(s.Info().Transport), r.Type, why, err)
	}
}

// Serve calls h for the messages of the session. Package mux has a Handler that calls a function for each
// type. Messages that want no answer are served one after the other, in order. Meanwhile the others wait,
// and if they are too many, so does their sender. Requests are served at the same time. Nil options mean
// their zero value.
//
// Serve returns when the session has ended and the messages from before have been served. It also returns
// when the context ends, once the calls under way have returned; then the session goes on. The error is
// the [*CloseError], or the context's. During a Serve another one fails at once.
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

	requests context.Context    // for Handlers of requests; ends with the session, as nobody waits for the answers then
	cancel   context.CancelFunc // of that
	oneWay   context.Context    // for other Handlers: messages from before the other end's close are still served
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
		over := s.flow.Over() // before Take, so that no message is missed
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

// end ends the calls under way, and waits for them. It leaves requests that still wait to a later Serve.
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

// reply sends the answer to a request, or the refusal. It returns when that is being sent; until then its
// bytes count against the Window. From there on the session delivers it.
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

// answer calls the Handler. why is 0 if the Handler returned no error.
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

// guarded calls the Handler, and returns a panic of it as an error.
func (sv *serving) guarded(ctx context.Context, r *Request) (_ []byte, err error) {
	defer fault.Contain(&err)
	return sv.handler(ctx, r)
}

// Refuse returns an error for a [Handler] to return: then the message is refused with why. cause, which
// may be nil, goes to [ServeOptions.OnError].
func Refuse(why Refusal, cause error) error { return &refusal{sendable(why), cause} }

// sendable returns why if it is one of the Refusals, else RefusedFailed: no other number may be sent.
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

// reason returns the error for this end's OnError or log.
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
