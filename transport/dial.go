//go:build !js

package transport

import (
	"cmp"
	"context"
	"net"
	"net/url"

	"github.com/hopseal/hopseal/internal/notify"
	"github.com/hopseal/hopseal/transport/internal/dialtrace"
)

// Dial connects to a WebSocket server. The URL starts with wss:// or ws://; https:// and http://
// mean the same.
//
// The context bounds the dial, not the life of the connection. A dial takes at most 30 seconds.
// Every error is a [*DialError]: one line that says what to do, with a method Permanent() bool.
func Dial(ctx context.Context, rawURL string, opts *DialOptions) (Conn, error) {
	u, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &DialOptions{}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := newDialer(u, opts)
	if trace := dialtrace.From(ctx); trace != nil {
		d.trace = func(e DialEvent) { trace(e) }
	}
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func newDialer(target *url.URL, opts *DialOptions) *dialer {
	return &dialer{target: target, opts: opts, info: Info{Kind: target.Scheme},
		events: &notify.Notifier[DialEvent]{Name: "transport: DialOptions.Notify", Call: opts.Notify,
			Note: func(e *DialEvent, missed int) { e.Missed = missed }}}
}

func (d *dialer) dial(ctx context.Context) (conn *wsConn, err error) {
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if conn == nil && d.socket != nil {
			d.socket.Close() // a failed phase has closed it, but not one whose hook panicked
		}
	}()
	socket, err := d.link(ctx)
	if err != nil {
		return nil, err
	}
	return d.upgrade(ctx, socket)
}

// prepare checks everything that can be checked before the first packet, and chooses the proxy.
func (d *dialer) prepare(ctx context.Context) error {
	host, problem := asciiHost(d.target)
	d.host = host
	problem = cmp.Or(problem, badHeader(d.opts), badNetwork(d.opts.Network),
		cleartextProblem(d.target, d.opts.Policy, d.opts.Sealed, d.opts.RequireTLS), exposed(d.target, d.opts))
	if problem != "" {
		return d.refuse(problem)
	}
	if d.target.Scheme == "wss" {
		var err error
		if d.tls, err = d.opts.TLS.config(d.host); err != nil {
			return d.refuse(err.Error())
		}
	}
	if err := d.chooseProxy(ctx); err != nil {
		return err
	}
	if d.trace == nil { // a diagnosis warns by itself
		warnCleartext(d.target)
	}
	return nil
}

// link returns a connection to the target: plain for ws, with TLS for wss.
func (d *dialer) link(ctx context.Context) (net.Conn, error) {
	var conn net.Conn
	var err error
	if d.proxy == nil {
		conn, err = d.reach(ctx, d.target, d.host)
	} else {
		conn, err = d.tunnel(ctx)
	}
	if err != nil || d.target.Scheme != "wss" {
		return conn, err
	}
	return d.secure(ctx, conn)
}
