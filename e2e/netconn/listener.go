package netconn

import (
	"context"
	"net"
	"sync"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/streamconn"
)

// A Listener is an [e2e.Server] whose sessions come out of Accept, each as a [*Conn], for
// http.Server, grpc.Server and the like:
//
//	listener, err := netconn.Listen(cfg)
//	http.Handle("/tunnel", listener) // where clients connect to
//	server.Serve(listener)           // what runs inside
type Listener struct {
	*e2e.Server
	conns chan net.Conn

	once   sync.Once
	closed chan struct{}
}

var _ net.Listener = (*Listener)(nil)

// Listen returns a Listener. The error says what is missing in cfg.
func Listen(cfg e2e.ServerConfig) (*Listener, error) {
	l := &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var err error
	if l.Server, err = e2e.NewServer(cfg, l.hand); err != nil {
		return nil, err
	}
	return l, nil
}

// hand is the server's function: it gives the session away, and waits for its end.
func (l *Listener) hand(ctx context.Context, s *e2e.Session) error {
	select {
	case l.conns <- New(s):
	case <-l.closed:
		now, cancel := context.WithCancel(ctx)
		cancel() // nothing was sent that could still arrive
		s.CloseWith(now, e2e.CodeGoingAway)
	case <-s.Done():
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
// others are closed with [e2e.CodeGoingAway], and so is every new one.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Shutdown is [e2e.Server.Shutdown] that ends Accept too.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.Close()
	return l.Server.Shutdown(ctx)
}

// Addr returns an address of network "hopseal". It says nothing: where clients connect
// is up to whoever serves them.
func (l *Listener) Addr() net.Addr { return streamconn.Addr{Kind: "hopseal", Address: "sessions"} }
