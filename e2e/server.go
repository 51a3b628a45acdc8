package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

// A Server makes a session with each client that connects and runs a function on
// it. As an http.Handler it takes WebSockets (not in browsers); [Server.ServeConn]
// takes any connection.
type Server struct {
	cfg    Config
	handle func(context.Context, *Session) error
	lobby  lobby

	running sync.WaitGroup // one for each ServeConn and each session that is being closed

	mu       sync.Mutex // guards what follows
	closed   bool
	places   int // taken by sessions, and by handshakes about to become one
	sessions map[*Session]struct{}
}

// NewServer returns a server that runs handle once for each session, in a goroutine
// of its own. The context ends when the session does, or the one given to
// ServeConn; use it for what the function does beside the session. When handle
// returns the session is closed: with [CodeDone], or with [CodeFailed] if the
// error is not nil and not how the session itself ended. A panic of handle ends its
// session only.
//
// The error says what is missing in cfg.
func NewServer(cfg Config, handle func(ctx context.Context, s *Session) error) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if handle == nil {
		return nil, errors.New("e2e: NewServer: the function is nil")
	}
	return &Server{
		cfg:      cfg,
		handle:   handle,
		lobby:    lobby{most: cfg.MaxHandshakes, mostPerAddress: cfg.MaxHandshakesPerAddress},
		sessions: map[*Session]struct{}{},
	}, nil
}

// ServeConn runs the handshake and then the server's function over a connection
// that is already open, and returns when both are done. It takes the connection
// over. When the context ends, so does the session, with [CodeGoingAway].
//
// Errors: [ErrServerClosed], [*HandshakeError], what the function returned, or a
// [*PanicError].
func (srv *Server) ServeConn(ctx context.Context, conn transport.Conn) error {
	if err := srv.begin(); err != nil {
		conn.Close(transport.CodeGoingAway, "")
		return err
	}
	defer srv.running.Done()
	session, err := srv.greet(ctx, conn)
	if err != nil {
		return err
	}
	defer srv.remove(session)
	return srv.serve(ctx, session)
}

// Shutdown closes every session with [CodeGoingAway], breaks off every handshake,
// and waits until all functions have returned or the context ends; then it returns
// the context's error. Clients that connect afterwards are turned away.
func (srv *Server) Shutdown(ctx context.Context) error {
	for _, s := range srv.stop() {
		srv.running.Go(func() { s.close(CodeGoingAway) })
	}
	srv.lobby.close(ErrServerClosed)
	done := make(chan struct{})
	go func() {
		srv.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin counts a connection in, unless the server is shut down.
func (srv *Server) begin() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return ErrServerClosed
	}
	srv.running.Add(1)
	return nil
}

// stop turns newcomers away from now on and returns the sessions that are open.
func (srv *Server) stop() (open []*Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.closed = true
	for s := range srv.sessions {
		open = append(open, s)
	}
	return open
}

// greet makes a session of a connection. Nothing is computed for a connection that
// the lobby does not hold.
func (srv *Server) greet(ctx context.Context, conn transport.Conn) (s *Session, err error) {
	reserved := false
	defer func() {
		if err != nil {
			conn.Close(transport.CodePolicy, "")
		}
		if err != nil && reserved {
			srv.release()
		}
	}()
	defer contain(&err)
	entered, leave := srv.lobby.enter(ctx, cmp.Or(conn.Info().Client, conn.Info().Remote))
	defer leave()
	s, err = accept(entered, conn, srv.cfg, func() error {
		err := srv.reserve()
		reserved = err == nil
		return err
	})
	if err != nil {
		return nil, err
	}
	s.life, s.conclude = context.WithCancel(context.WithoutCancel(ctx))
	if err := srv.add(s); err != nil {
		s.close(CodeGoingAway)
		return nil, err
	}
	return begun(s, nil)
}

var errFull = errors.New("the limit of sessions is reached")

// reserve takes a place for a client that is known and welcome.
func (srv *Server) reserve() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if err := srv.full(); err != nil {
		return err
	}
	srv.places++
	return nil
}

func (srv *Server) release() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.places--
}

// full says why no session can begin. It is called under mu.
func (srv *Server) full() error {
	switch {
	case srv.closed:
		return ErrServerClosed
	case srv.places >= srv.cfg.MaxSessions:
		return errFull
	}
	return nil
}

func (srv *Server) add(s *Session) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed { // since it was reserved a place
		return ErrServerClosed
	}
	srv.sessions[s] = struct{}{}
	return nil
}

func (srv *Server) remove(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s)
	srv.places--
}

// serve runs the function and closes the session.
func (srv *Server) serve(ctx context.Context, s *Session) error {
	defer context.AfterFunc(ctx, func() { s.close(CodeGoingAway) })()
	defer func() { <-s.life.Done() }() // somebody else may still be saying goodbye
	err := srv.call(s.life, s)
	if err == nil || s.over() && (errors.Is(err, s.err) || errors.Is(err, context.Canceled)) {
		s.close(CodeDone)
		return nil
	}
	s.close(CodeFailed)
	return err
}

// call runs the function and makes a panic an error.
func (srv *Server) call(ctx context.Context, s *Session) (err error) {
	defer contain(&err)
	return srv.handle(ctx, s)
}

// A PanicError is a panic of a server's function or of its Verifier.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the value in one line, and the stack in many.
func (e *PanicError) Error() string {
	return "e2e: panic: " + safetext.Line(fmt.Sprint(e.Value), maxShown) + "\n" + string(e.Stack)
}

// maxShown bounds what is shown of the errors and panics of applications, in
// characters.
const maxShown = 1000

func contain(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}
