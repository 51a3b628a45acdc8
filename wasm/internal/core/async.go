package core

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Operations that wait. A call never blocks, so such an operation starts a goroutine and
// returns. JavaScript chooses a ticket for it, lets goroutines run, and later finds the result
// under the ticket among the notices. Where a goroutine needs something of JavaScript, such as a
// connection or a decision, it asks: the question is a notice too, and the operation answer brings
// what JavaScript has to say.

// A notice is what Go tells JavaScript in between calls:
//
//	notice = kind number, id number, content bytes
//
// The content's fields depend on the kind:
//
//	noticeDone   id is a ticket: the fields of the operation's result
//	noticeFailed id is a ticket: an error's fields
//	noticeAsk    id is a question's, for answer: key number, which callback number, its fields
//	noticeUnask  id is a question's: nobody waits for the answer any more
//	noticeFrame  id is a connection's handle: a message to send, as it is
//	noticeClose  id is a connection's handle: code number, reason text; a page cannot send each code, see transport.Code
//	noticeEvent  id is a session's key: see session.go
type noticeKind uint32

const (
	noticeDone noticeKind = iota + 1
	noticeFailed
	noticeAsk
	noticeUnask
	noticeFrame
	noticeClose
	noticeEvent
)

type notice struct {
	kind    noticeKind
	id      uint32
	content []byte
}

// maxTaken is about how many bytes of notices one call of take returns.
const maxTaken = 256 << 10

// An office holds what is under way between goroutines and JavaScript.
type office struct {
	wake func() // tells JavaScript that there are notices; called without the lock
	dead func(what string)

	mu        sync.Mutex
	notices   []notice
	tickets   map[uint32]context.CancelFunc
	questions map[uint32]chan answered
	last      uint32 // id of the last question
}

// An answered question has the fields of an answer, or an error.
type answered struct {
	fields []byte
	err    *Error
}

func (o *office) tell(kind noticeKind, id uint32, content []byte) {
	o.mu.Lock()
	o.notices = append(o.notices, notice{kind, id, content})
	first := len(o.notices) == 1
	o.mu.Unlock()
	if first {
		o.wake()
	}
}

// A job is the part of an operation that may wait. It returns the fields of the result.
type job func(ctx context.Context) ([]byte, error)

// start runs a job in a goroutine of its own.
func (o *office) start(t ticket, run job) {
	ctx := o.context(t)
	o.spawn(func() { o.finish(ctx, t, run) })
}

// A ticket is what JavaScript knows an operation under way by. Most are not to be cancelled, and cost
// less for it.
type ticket struct {
	number    uint32
	cancelled bool // may be, by the operation cancel
}

func (r *request) ticket() ticket { return ticket{r.uint32(), r.uint32() == 1} }

// context returns the context of an operation, which the operation cancel ends.
func (o *office) context(t ticket) context.Context {
	if !t.cancelled {
		return context.Background()
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tickets == nil {
		o.tickets = make(map[uint32]context.CancelFunc)
	}
	o.tickets[t.number] = cancel
	return ctx
}

func (o *office) finish(ctx context.Context, t ticket, run job) {
	out, err := run(ctx)
	if t.cancelled {
		o.mu.Lock()
		cancel := o.tickets[t.number]
		delete(o.tickets, t.number)
		o.mu.Unlock()
		cancel()
	}
	if err != nil {
		o.tell(noticeFailed, t.number, appendError(nil, err))
		return
	}
	o.tell(noticeDone, t.number, out)
}

// spawn starts a goroutine whose panic is the core's death.
func (o *office) spawn(f func()) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				o.dead(fmt.Sprint("panic in the core: ", p))
				o.wake()
			}
		}()
		f()
	}()
}

// ask asks a callback of JavaScript and waits for the answer, or until the context ends. key is the
// number under which JavaScript keeps the callbacks of one session or server.
func (o *office) ask(ctx context.Context, key uint32, callback callback, fields []byte) (*request, error) {
	id, reply := o.question(key, callback, fields)
	select {
	case a := <-reply:
		return a.request()
	case <-ctx.Done():
		o.tell(noticeUnask, id, nil)
	}
	o.mu.Lock()
	delete(o.questions, id)
	o.mu.Unlock()
	select {
	case a := <-reply: // answer was first: somebody has to take what it brought
		return a.request()
	default:
		return nil, ctx.Err()
	}
}

// run is ask for a function that runs as long as it likes: the context's end is told to it, and the
// answer waited for all the same.
func (o *office) run(ctx context.Context, key uint32, callback callback, fields []byte) (*request, error) {
	id, reply := o.question(key, callback, fields)
	defer context.AfterFunc(ctx, func() { o.tell(noticeUnask, id, nil) })()
	a := <-reply
	return a.request()
}

func (a answered) request() (*request, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &request{rest: a.fields}, nil
}

func (o *office) question(key uint32, callback callback, fields []byte) (id uint32, reply chan answered) {
	content := append(appendUint32(appendUint32(nil, key), uint32(callback)), fields...)
	reply = make(chan answered, 1)
	o.mu.Lock()
	if o.questions == nil {
		o.questions = make(map[uint32]chan answered)
	}
	o.last++
	id = o.last
	o.questions[id] = reply
	o.mu.Unlock()
	o.tell(noticeAsk, id, content)
	return id, reply
}

// later makes an operation of one that waits: begin reads the request, behind the ticket, and
// keeps nothing of it. The operation's comment has the fields behind the ticket, and those of the
// result that comes later.
func later(begin func(c *Core, r *request) (job, error)) func(c *Core, r *request, out []byte) ([]byte, error) {
	return func(c *Core, r *request, out []byte) ([]byte, error) {
		t := r.ticket()
		run, err := begin(c, r)
		if err != nil {
			return nil, err
		}
		c.office.start(t, run)
		return out, nil
	}
}

// inTurn is later for operations that run one after the other.
func inTurn(begin func(c *Core, r *request) (*queue, job, error)) func(c *Core, r *request, out []byte) ([]byte, error) {
	return func(c *Core, r *request, out []byte) ([]byte, error) {
		t := r.ticket()
		q, run, err := begin(c, r)
		if err != nil {
			return nil, err
		}
		if t.cancelled {
			c.office.start(t, q.inTurn(run))
		} else { // without a goroutine of its own
			q.add(func() { c.office.finish(context.Background(), t, run) })
		}
		return out, nil
	}
}

// take: nothing → notices, as many as fit one call.
func (c *Core) take(r *request, out []byte) ([]byte, error) {
	if err := r.done(); err != nil {
		return nil, err
	}
	o := &c.office
	o.mu.Lock()
	defer o.mu.Unlock()
	start, n := len(out), 0
	for ; n < len(o.notices) && len(out)-start < maxTaken; n++ {
		next := &o.notices[n]
		out = appendBytes(appendUint32(appendUint32(out, uint32(next.kind)), next.id), next.content)
		clear(next.content) // it may be a plaintext
		*next = notice{}
	}
	if o.notices = o.notices[n:]; len(o.notices) == 0 {
		o.notices = nil
	}
	return out, nil
}

// answer: question's id number, 1, the fields of the answer; or id, 0, code text, message text → 1
// where it was taken, 0 where nobody asks any more.
func (c *Core) answer(r *request, out []byte) ([]byte, error) {
	id, ok := r.uint32(), r.uint32()
	var a answered
	if ok == 1 {
		a.fields, r.rest = bytes.Clone(r.rest), nil
	} else {
		a.err = &Error{Code: r.text(), Message: r.text()}
	}
	if err := r.done(); err != nil {
		return nil, err
	}
	o := &c.office
	o.mu.Lock()
	reply := o.questions[id]
	delete(o.questions, id)
	o.mu.Unlock()
	if reply == nil {
		return appendUint32(out, 0), nil
	}
	reply <- a
	return appendUint32(out, 1), nil
}

// cancel: ticket number → nothing. The operation then ends, with its own result or an error.
func (c *Core) cancel(r *request, out []byte) ([]byte, error) {
	ticket := r.uint32()
	if err := r.done(); err != nil {
		return nil, err
	}
	c.office.mu.Lock()
	cancel := c.office.tickets[ticket]
	c.office.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	return out, nil
}

// A queue runs jobs one after the other, in the order in which they were given.
type queue struct {
	office *office

	mu      sync.Mutex
	waiting []func()
	running bool
}

// inTurn makes a job of one that runs in its turn. Its place is that of this call. A context that ends
// before the turn has come ends the job.
func (q *queue) inTurn(run job) job {
	type result struct {
		out []byte
		err error
	}
	turn, done := make(chan context.Context, 1), make(chan result, 1)
	var decided atomic.Bool // that it runs, or that it does not
	q.add(func() {
		if ctx := <-turn; decided.CompareAndSwap(false, true) {
			out, err := run(ctx)
			done <- result{out, err}
		}
	})
	return func(ctx context.Context) ([]byte, error) {
		turn <- ctx
		select {
		case r := <-done:
			return r.out, r.err
		case <-ctx.Done():
		}
		if decided.CompareAndSwap(false, true) {
			return nil, ctx.Err()
		}
		r := <-done
		return r.out, r.err
	}
}

// turn makes a job that does nothing in its turn: when it is done, so are those before it.
func (q *queue) turn() job {
	return q.inTurn(func(context.Context) ([]byte, error) { return nil, nil })
}

func (q *queue) add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
	if !q.running {
		q.running = true
		q.office.spawn(q.run)
	}
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running, q.waiting = false, nil
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		next()
	}
}
