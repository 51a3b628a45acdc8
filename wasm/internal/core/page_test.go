package core

import (
	"context"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// A page does what JavaScript does: it takes notices, answers questions and moves messages.
type page struct {
	client
	woken chan struct{}
	done  chan struct{}

	mu        sync.Mutex // calls must not overlap
	sockets   map[uint32]socket
	tickets   map[uint32]chan outcome
	last      uint32
	callbacks map[callback]func(f fields) (answer []any, err *Error)
	events    []string
}

type outcome struct {
	fields fields
	err    error
}

func newPage(t testing.TB) *page {
	p := &page{woken: make(chan struct{}, 1), done: make(chan struct{}), sockets: map[uint32]socket{},
		tickets: map[uint32]chan outcome{}, callbacks: map[callback]func(f fields) ([]any, *Error){}}
	p.client = client{t, New(func() { poke(p.woken) })}
	var over sync.WaitGroup
	over.Go(p.run)
	t.Cleanup(func() { close(p.done); over.Wait() })
	return p
}

func (p *page) sync(name string, values ...any) (fields, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.call(name, values...)
}

// begin starts an operation that waits, and returns its ticket.
func (p *page) begin(name string, values ...any) (ticket uint32, done chan outcome) {
	done = make(chan outcome, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.tickets[p.last] = done
	if _, err := p.call(name, append([]any{p.last, 1}, values...)...); err != nil {
		delete(p.tickets, p.last)
		done <- outcome{err: err}
	}
	return p.last, done
}

func (p *page) wait(name string, values ...any) (fields, error) {
	_, done := p.begin(name, values...)
	o := <-done
	return o.fields, o.err
}

func (p *page) run() {
	for {
		select {
		case <-p.done:
			return
		case <-p.woken:
		}
		for p.takeAll() {
		}
	}
}

func (p *page) takeAll() bool {
	f, err := p.sync("take")
	if err != nil {
		return false
	}
	any := f.more()
	for f.more() {
		p.notice(noticeKind(f.number()), f.number(), fields{f.t, f.bytes()})
	}
	return any
}

func (p *page) notice(kind noticeKind, id uint32, f fields) {
	switch kind {
	case noticeDone, noticeFailed:
		p.mu.Lock()
		done := p.tickets[id]
		delete(p.tickets, id)
		p.mu.Unlock()
		if kind == noticeDone {
			done <- outcome{fields: f}
			return
		}
		done <- outcome{err: readError(f)}
	case noticeAsk:
		f.number() // the key: a page of this test has one set of callbacks
		go p.reply(id, callback(f.number()), f)
	case noticeFrame:
		p.write(id, f.rest)
	case noticeClose:
		p.mu.Lock()
		s := p.sockets[id]
		p.mu.Unlock()
		code, reason := transport.Code(f.number()), f.text()
		go s.close(code, reason)
	case noticeEvent:
		p.mu.Lock()
		p.events = append(p.events, f.text())
		p.mu.Unlock()
	}
}

func readError(f fields) *Error {
	e := &Error{Code: f.text(), Message: f.text(), Reason: f.text()}
	for f.more() {
		e.Known = append(e.Known, f.text())
	}
	return e
}

func (p *page) reply(id uint32, which callback, f fields) {
	answer, err := p.callbacks[which](f)
	if err != nil {
		p.sync("answer", id, 0, err.Code, err.Message)
		return
	}
	p.sync("answer", append([]any{id, 1}, answer...)...)
}

// A socket is what JavaScript has for a connection of the core.
type socket interface {
	send(msg []byte) // in the order of the calls
	close(code transport.Code, reason string)
}

func (p *page) write(id uint32, msg []byte) {
	p.mu.Lock()
	s := p.sockets[id]
	p.mu.Unlock()
	s.send(msg)
	p.sync("connSent", id, len(msg))
}

// attach makes a connection of the core of a socket.
func (p *page) attach(s socket, limit int) uint32 {
	f, err := p.sync("connOpen", "ws", "127.0.0.1", limit, 8<<20)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	id := f.number()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sockets[id] = s
	return id
}

// A pipe is the socket at one end of a connection of this process.
type pipe struct{ transport.Conn }

func (s pipe) send(msg []byte) { s.Write(context.Background(), msg) }

func (s pipe) close(code transport.Code, reason string) { s.Close(code, reason) }

// pipe attaches a connection of this process.
func (p *page) pipe(c transport.Conn, limit int) uint32 {
	id := p.attach(pipe{c}, limit)
	go p.read(id, c)
	return id
}

func (p *page) read(id uint32, c transport.Conn) {
	for {
		msg, err := c.Read(context.Background(), nil)
		if err != nil {
			closed := err.(*transport.CloseError)
			p.sync("connClosed", id, int(closed.Code), closed.Reason)
			return
		}
		if _, err := p.sync("connReceived", id, msg); err != nil {
			return
		}
	}
}
