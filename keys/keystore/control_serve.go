package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// Serve takes requests of [Client]s, and so of the command hopseal, over a Unix socket beside
// the store. It returns an error when ctx ends or the store is closed. [Store.Run] does the same beside
// its rotations: Serve is for a store that does not rotate here. On Windows, which has no Unix sockets
// with owners, the error wraps [errors.ErrUnsupported].
//
// A client has to know the store's passphrase, or have its KMS key, and be the same user or root.
func (s *Store) Serve(ctx context.Context) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	return newControlServer(s, l).serve(ctx)
}

// serveAgain is how long serveBeside waits before it tries again to make the socket.
const serveAgain = time.Minute

var errServed = errors.New("keys: the store takes requests already")

// listen makes the socket, unless the store is closed.
func (s *Store) listen() (*socket.Socket, error) {
	c := &s.control
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
		return nil, ErrClosed
	case c.serving != nil:
		return nil, errServed
	}
	l, err := socket.Listen(s.path)
	if err != nil {
		return nil, fmt.Errorf("keys: %s takes no requests: %w", s.path, err)
	}
	c.serving = l
	return l, nil
}

// serveBeside takes requests while Run rotates by that policy, until the returned function is called.
func (s *Store) serveBeside(ctx context.Context, p RotationPolicy, log *slog.Logger) (end func()) {
	forget := s.control.addRun(&p)
	if p.NoRequests || !serves {
		return forget
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serveOn(ctx, log)
	}()
	return func() {
		cancel()
		<-done
		forget()
	}
}

// serves is false in tests with a fake clock, which would stand still while somebody listens.
var serves = true

// serveOn is Serve, but tries again every minute if it cannot make the socket, for example because the
// folder is read-only.
func (s *Store) serveOn(ctx context.Context, log *slog.Logger) {
	for told := false; ; {
		err := s.Serve(ctx)
		if ctx.Err() != nil || errors.Is(err, ErrClosed) || errors.Is(err, errors.ErrUnsupported) {
			return
		}
		if !told && !errors.Is(err, errServed) {
			log.Warn("keys: a store takes no requests, so that it has to be closed before the command hopseal can change it", "store", s.Path(), "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return
		case <-s.control.closing:
			return
		case <-time.After(serveAgain):
		}
	}
}

type controlServer struct {
	store     *Store
	socket    *socket.Socket
	slots     chan struct{}
	late      func(begin time.Time) bool // whether it is too late to begin a request
	answering sync.WaitGroup

	changing chan struct{} // holds a token while a request is done: one at a time
	patience time.Duration // how long a request waits for earlier changes
}

func newControlServer(s *Store, l *socket.Socket) *controlServer {
	return &controlServer{store: s, socket: l, slots: make(chan struct{}, controlConnections), late: late,
		changing: make(chan struct{}, 1), patience: queueTime}
}

// serve returns when the last request has been answered.
func (w *controlServer) serve(ctx context.Context) error {
	key, err := w.store.controlKey()
	if err != nil {
		return err
	}
	defer w.answering.Wait()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	unlisten := func() { w.store.control.closeSocket(w.socket) }
	defer unlisten()
	defer context.AfterFunc(ctx, unlisten)()
	for {
		select { // at the limit others wait in the kernel
		case w.slots <- struct{}{}:
		case <-w.store.control.closing:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
		conn, err := w.socket.Listener.AcceptUnix()
		switch {
		case err == nil:
			w.answering.Go(func() {
				defer func() { <-w.slots }()
				defer conn.Close()
				_ = w.answer(waiting, conn, key) // the client gets the error, or no answer
			})
			continue
		case errors.Is(err, net.ErrClosed):
			return w.ended(ctx)
		}
		<-w.slots
		select { // out of file descriptors, for example
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (w *controlServer) ended(ctx context.Context) error {
	select {
	case <-w.store.control.closing:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func late(begin time.Time) bool { return time.Since(begin) >= controlTime }

// controlKey derives the key of the socket while the master key is there: Close clears it.
func (s *Store) controlKey() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	return controlKey(s.master), nil
}

// answer answers one request. It does not begin a change that is late, or whose client has given up.
// When ctx ends, it stops to wait for a request that has not come.
func (w *controlServer) answer(ctx context.Context, conn *net.UnixConn, control []byte) error {
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(controlTime)); err != nil {
		return err
	}
	stop := endWith(ctx, conn)
	defer stop()
	if err := w.socket.Peer(conn); err != nil {
		return err
	}
	link, q, err := receive(conn, control)
	if err != nil {
		return err
	}
	var a answer
	if err = w.begin(ctx, conn, !stop() || w.late(begin)); err == nil {
		a = w.store.do(q)
		<-w.changing
	} else {
		a = answerOf(err)
	}
	if err := conn.SetDeadline(time.Now().Add(controlTime)); err != nil {
		return err
	}
	return writeFrame(conn, sealFrame(link.answer, a.append(nil)))
}

// begin takes the token that a change needs. It waits for earlier changes for as long as the client
// waits for the answer, or the writer is patient.
func (w *controlServer) begin(ctx context.Context, conn net.Conn, late bool) error {
	for since := time.Now(); ; {
		if late || ctx.Err() != nil {
			return w.busy("the request came too late, or the process ends")
		}
		if w.free() {
			return nil
		}
		if gone(conn, beginPause) || time.Since(since) > w.patience {
			return w.busy("another change is under way, and does not come to its end: look at the disk")
		}
	}
}

func (w *controlServer) busy(why string) error {
	return fileError(w.store.Path(), ErrWriterBusy, why+": nothing was changed")
}

func (w *controlServer) free() bool {
	select {
	case w.changing <- struct{}{}:
	default:
		return false
	}
	if !w.store.idle() {
		<-w.changing
		return false
	}
	return true
}

// gone waits for that time, and reports whether the client has gone. A client that is there sends
// nothing now.
func gone(conn net.Conn, wait time.Duration) bool {
	if conn.SetReadDeadline(time.Now().Add(wait)) != nil {
		return true
	}
	_, err := conn.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// receive greets the client and reads its request. That opens only if the client knows the store's key.
func receive(conn net.Conn, control []byte) (link linkKeys, q request, err error) {
	if link, err = greet(conn, control); err != nil {
		return linkKeys{}, request{}, err
	}
	b, err := readFrame(conn, maxRequest+64)
	if err != nil {
		return linkKeys{}, request{}, err
	}
	if b, err = openFrame(link.request, b); err != nil {
		return linkKeys{}, request{}, err
	}
	q, err = parseRequest(b)
	return link, q, err
}

// greet does the writer's part of the greeting.
func greet(conn net.Conn, control []byte) (linkKeys, error) {
	b, err := readFrame(conn, maxGreeting)
	if err != nil {
		return linkKeys{}, err
	}
	client, err := parseHello(b)
	if err != nil {
		return linkKeys{}, err
	}
	writer := newNonce()
	link := newLinkKeys(control, client, writer)
	return link, writeFrame(conn, appendHi(nil, writer, link.proof))
}
