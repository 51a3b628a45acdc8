package e2e

import (
	"context"
	"net"
	"sync"

	"github.com/hopseal/hopseal/internal/streamconn"
)

// A Listener is a [Server] whose sessions come out of Accept, each as a [*NetConn], for
// http.Server, grpc.Server and the like:
//
//	listener, err := e2e.NewListener(cfg)
//	http.Handle("/tunnel", listener) // where clients connect to
//	server.Serve(listener)           // what runs inside
type Listener struct {
	*Server
	conns chan net.Conn

	once   sync.Once
	closed chan struct{}
}

var _ net.Listener = (*Listener)(nil)

// NewListener returns a Listener. The error says what is missing in cfg.
func NewListener(cfg ServerConfig) (*Listener, error) {
	l := &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var err error
	if l.Server, err = NewServer(cfg, l.hand); err != nil {
		return nil, err
	}
	return l, nil
}

// hand is the server's function: it gives the session away, and waits for its end.
func (l *Listener) hand(ctx context.Context, s *Session) error {
	select {
	case l.conns <- s.NetConn():
	case <-l.closed:
		s.close(CodeGoingAway)
	case <-s.ended:
	}
	<-ctx.Done()
	return nil
}

// Accept waits for the next session. After Close or Shutdown its error is
// [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. Sessions that were accepted go on, over further connections too;
// others are closed with [CodeGoingAway], and so is every new one.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Shutdown is [Server.Shutdown] that ends Accept too.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.Close()
	return l.Server.Shutdown(ctx)
}

// Addr returns an address of network "hopseal". It says nothing: where clients connect
// is up to whoever serves them.
func (l *Listener) Addr() net.Addr { return streamconn.Addr{Kind: "hopseal", Address: "sessions"} }
