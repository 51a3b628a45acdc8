//go:build !js

package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
)

const (
	// proxyTimeout bounds the wait for a PROXY header where an option does not
	// say otherwise.
	proxyTimeout = 5 * time.Second

	// maxProxyWaits is how many connections are waited for at a time. Others
	// stay with the operating system meanwhile.
	maxProxyWaits = 1024
)

// ProxyProtocol says who may send PROXY headers.
type ProxyProtocol struct {
	// Hops lists the addresses of the load balancers in front of this server.
	// Each of their connections has to begin with a header.
	Hops []netip.Prefix

	// AllowDirect lets others connect too, as themselves: a header of theirs is
	// taken for what it is, garbage. By default they are refused, since they go
	// past the load balancer and its limits.
	AllowDirect bool

	// Timeout is how long a hop may take for the header. Zero means 5 seconds.
	Timeout time.Duration

	// OnRefuse is told why connections were cut before anybody saw them. It may be
	// slow: calls come one after the other, and of more than 16 that wait the oldest
	// are left out. Nil logs "connection refused" to [slog.Default] at level warn:
	// one line a minute at most, about the latest, with their number. Silence is a
	// function that does nothing.
	OnRefuse func(error)
}

// ListenProxy returns a listener that takes the connections of l, which load
// balancers make on behalf of clients, and reads the PROXY header (version 1 or 2)
// in front of each. RemoteAddr of such a connection is the client's address.
// Accept in this package also knows from it which hop is next, and whether the
// client spoke TLS with that (the TLS value of version 2, in HAProxy
// send-proxy-v2-ssl). TLS of this server goes on top:
//
//	tls.NewListener(proxied, config)
//
// That is the client's TLS, which passes the hop unopened, or the hop's where the
// header says that the client spoke TLS with the hop. A hop must not speak TLS with
// this server for clients that spoke none: theirs would be taken for it.
//
// A header that is missing, late, malformed or of another protocol than TCP ends
// its connection. Closing the listener closes l.
func ListenProxy(l net.Listener, opts ProxyProtocol) (net.Listener, error) {
	switch {
	case len(opts.Hops) == 0:
		return nil, errors.New("transport: ProxyProtocol.Hops is empty: list the addresses of the load balancers")
	case opts.Timeout < 0:
		return nil, errors.New("transport: ProxyProtocol.Timeout is negative")
	case opts.Timeout == 0:
		opts.Timeout = proxyTimeout
	}
	if opts.OnRefuse == nil {
		opts.OnRefuse = logCut(slog.Default())
	}
	p := &proxyListener{Listener: l, opts: opts,
		ready: make(chan net.Conn), failed: make(chan error), waits: make(chan struct{}, maxProxyWaits)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.refused.Name, p.refused.Call = "transport: ProxyProtocol.OnRefuse", opts.OnRefuse
	return p, nil
}

type proxyListener struct {
	net.Listener
	opts    ProxyProtocol
	refused notify.Notifier[error]

	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	begin  sync.Once
	ready  chan net.Conn
	failed chan error
	waits  chan struct{} // one for each goroutine that reads a header
}

// Accept is described at net.Listener. A hop that is slow with its header keeps
// nobody else waiting.
func (l *proxyListener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.run() })
	select {
	case conn := <-l.ready:
		return conn, nil
	case err := <-l.failed:
		return nil, err
	case <-l.ctx.Done():
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close is described at net.Listener.
func (l *proxyListener) Close() error {
	l.stop()
	return l.Listener.Close()
}

func (l *proxyListener) run() {
	for {
		select {
		case l.waits <- struct{}{}:
		case <-l.ctx.Done():
			return
		}
		conn, err := l.Listener.Accept()
		if err == nil {
			go l.greet(conn)
			continue
		}
		<-l.waits
		select {
		case l.failed <- err: // whoever calls Accept decides whether to go on
		case <-l.ctx.Done():
			return
		}
	}
}

// greet hands conn on, or closes it.
func (l *proxyListener) greet(conn net.Conn) {
	defer func() { <-l.waits }()
	cut := context.AfterFunc(l.ctx, func() { conn.Close() })
	whose, err := l.identify(conn)
	if !cut() {
		return // closed
	}
	if err != nil {
		conn.Close()
		l.refused.Emit(fmt.Errorf("transport: PROXY protocol: %s: %w", conn.RemoteAddr(), err))
		return
	}
	select {
	case l.ready <- whose:
	case <-l.ctx.Done():
		conn.Close()
	}
}

func (l *proxyListener) identify(conn net.Conn) (net.Conn, error) {
	if !listed(l.opts.Hops, addrOf(conn.RemoteAddr().String())) {
		if l.opts.AllowDirect {
			return conn, nil
		}
		return nil, errors.New("the peer is none of ProxyProtocol.Hops")
	}
	if err := conn.SetReadDeadline(time.Now().Add(l.opts.Timeout)); err != nil {
		return nil, err
	}
	p, err := readProxyHeader(conn)
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if !p.source.IsValid() {
		return conn, nil
	}
	return &proxiedConn{
		Conn:   conn,
		remote: net.TCPAddrFromAddrPort(p.source),
		local:  &tunnelAddr{net.TCPAddrFromAddrPort(p.destination), tunnel{conn.RemoteAddr().String(), p.secure}},
	}, nil
}

// A proxiedConn is a client's connection by way of a hop.
type proxiedConn struct {
	net.Conn
	remote *net.TCPAddr
	local  *tunnelAddr
}

func (c *proxiedConn) RemoteAddr() net.Addr { return c.remote }
func (c *proxiedConn) LocalAddr() net.Addr  { return c.local }

// CloseWrite lets net/http end a connection without losing its last answer.
func (c *proxiedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// A tunnelAddr is the address that the client connected to. net/http hands it on
// with each request, so that it can carry what else is known.
type tunnelAddr struct {
	*net.TCPAddr
	tunnel
}

// A tunnel is the hop that a request came through without being changed.
type tunnel struct {
	hop    string // its address and port; "" if there is none
	secure bool   // the client's TLS ends at the hop
}

func tunnelOf(r *http.Request) tunnel {
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(*tunnelAddr); ok {
		return at.tunnel
	}
	return tunnel{}
}
