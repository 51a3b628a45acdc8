//go:build !js

package hops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
)

// maxWaits is the most connections whose headers the listener waits for at a time.
// The operating system keeps the others meanwhile.
const maxWaits = 1024

// ListenOptions say who may send PROXY headers.
type ListenOptions struct {
	Hops        []netip.Prefix
	AllowDirect bool          // accepts connections from others too, as their own
	Timeout     time.Duration // the most time for a hop to send its header
	OnRefuse    func(error)   // receives the reason for each refused connection
}

// Listen returns a listener that accepts the connections of l, which load balancers make for
// clients. It reads the PROXY header in front of each.
func Listen(l net.Listener, opts ListenOptions) net.Listener {
	p := &listener{Listener: l, opts: opts,
		ready: make(chan net.Conn), failed: make(chan error), waits: make(chan struct{}, maxWaits)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.refused.Name, p.refused.Call = "transport: ProxyProtocol.OnRefuse", opts.OnRefuse
	return p
}

type listener struct {
	net.Listener
	opts    ListenOptions
	refused notify.Notifier[error]

	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	begin  sync.Once
	ready  chan net.Conn
	failed chan error
	waits  chan struct{} // holds one token for each goroutine that reads a header
}

// Accept is described at net.Listener. A hop that sends its header slowly delays no
// other connection.
func (l *listener) Accept() (net.Conn, error) {
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
func (l *listener) Close() error {
	l.stop()
	return l.Listener.Close()
}

func (l *listener) run() {
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
		case l.failed <- err: // the caller of Accept decides whether to go on
		case <-l.ctx.Done():
			return
		}
	}
}

// greet reads conn's header and passes conn to Accept, or closes it.
func (l *listener) greet(conn net.Conn) {
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

func (l *listener) identify(conn net.Conn) (net.Conn, error) {
	if !listed(l.opts.Hops, Addr(conn.RemoteAddr().String())) {
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
		local:  &TunnelAddr{net.TCPAddrFromAddrPort(p.destination), Tunnel{conn.RemoteAddr().String(), p.secure}},
	}, nil
}

// A proxiedConn is a client's connection through a hop. Its addresses are those that the
// hop's header gives.
type proxiedConn struct {
	net.Conn
	remote *net.TCPAddr
	local  *TunnelAddr
}

func (c *proxiedConn) RemoteAddr() net.Addr { return c.remote }
func (c *proxiedConn) LocalAddr() net.Addr  { return c.local }

// CloseWrite closes the writing side, so that net/http can end a connection without losing
// its last answer.
func (c *proxiedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// A TunnelAddr is the address that the client connected to. It also carries the Tunnel,
// because net/http passes this address on with each request.
type TunnelAddr struct {
	*net.TCPAddr
	Tunnel
}

// A Tunnel is a hop that passed a request through unchanged.
type Tunnel struct {
	Hop    string // its address and port; "" if there is none
	Secure bool   // the hop terminates the client's TLS
}

// TunnelOf returns the Tunnel that a request came through, or the zero value.
func TunnelOf(r *http.Request) Tunnel {
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(*TunnelAddr); ok {
		return at.Tunnel
	}
	return Tunnel{}
}
