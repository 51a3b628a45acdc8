//go:build !js

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// hop runs the hop alone, until the context ends.
func hop(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo hop", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8443", "where to listen, `host:port`")
	var p proxy
	p.flags(flags)
	if err := parse(flags, args, out, "echo hop [-addr host:port] [-cut TIME] [-show N] [-look TEXT] URL", 1, 1); err != nil {
		return err
	}
	target, err := url.Parse(flags.Arg(0))
	if err != nil || target.Scheme != "ws" || target.Port() == "" {
		return errors.New("the hop wants the service's address, as \"echo serve\" prints it: ws://host:port")
	}
	p.out, p.target = out, target.Host
	cert, pem, err := certificate()
	if err != nil {
		return err
	}
	listener, err := listen(*addr)
	if err != nil {
		return err
	}
	file, err := keep(pem)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	fmt.Fprintf(out, "a hop on the way to %s; in another terminal, with the fingerprint that the service printed:\n\n"+
		"  go run ./examples/echo client -server FINGERPRINT -ca %s wss://%s\n\n", p.target, file, listener.Addr())
	return p.run(ctx, tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}}))
}

// keep writes the certificate that the client must trust to a file.
func keep(pem []byte) (name string, err error) {
	f, err := os.CreateTemp("", "echo-hop-*.pem")
	if err != nil {
		return "", err
	}
	_, err = f.Write(pem)
	return f.Name(), errors.Join(err, f.Close())
}

// A proxy is a hop that ends TLS, like a load balancer, a CDN, or the proxy of a company. It can read,
// print and change whatever is inside the TLS. This one also cuts connections.
type proxy struct {
	target string         // host:port of the service
	roots  *x509.CertPool // for the service's certificate; nil: the service speaks no TLS
	cut    time.Duration
	show   int
	look   string

	running sync.WaitGroup

	mu    sync.Mutex // guards what follows
	out   io.Writer
	links int
	total sight
	found int // messages with the text that the hop looks for
}

func (p *proxy) flags(flags *flag.FlagSet) {
	flags.DurationVar(&p.cut, "cut", time.Second, "`time` after which the hop cuts a connection; 0: never")
	flags.IntVar(&p.show, "show", 7, "how `many` messages of each connection the hop prints")
	flags.StringVar(&p.look, "look", "nobody on the way", "`text` that the hop looks for in all that it sees")
}

// run serves until the context ends, and then prints what the hop has seen.
func (p *proxy) run(ctx context.Context, listener net.Listener) error {
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		client, err := listener.Accept()
		if err != nil {
			p.running.Wait()
			p.summary()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		p.running.Go(func() { p.serve(ctx, client) })
	}
}

// serve passes one connection on.
func (p *proxy) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	service, err := p.dial(ctx)
	if err != nil {
		fmt.Fprintln(p.out, "hop: the service is not there:", err)
		return
	}
	defer service.Close()
	l := p.newLink()
	if p.cut > 0 {
		defer time.AfterFunc(p.cut, func() { l.cutOff(client, service) }).Stop()
	}
	defer context.AfterFunc(ctx, func() { end(client, service) })()
	var both sync.WaitGroup
	for _, way := range []struct {
		from, to  net.Conn
		toService bool
	}{{client, service, true}, {service, client, false}} {
		both.Go(func() {
			l.pass(bufio.NewReader(way.from), way.to, way.toService)
			end(client, service)
		})
	}
	both.Wait()
	l.over()
}

func (p *proxy) dial(ctx context.Context) (net.Conn, error) {
	if p.roots == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", p.target)
	}
	return (&tls.Dialer{Config: &tls.Config{RootCAs: p.roots}}).DialContext(ctx, "tcp", p.target)
}

// end closes the sockets below TLS, so that neither end gets a close message.
func end(conns ...net.Conn) {
	for _, c := range conns {
		if over, ok := c.(*tls.Conn); ok {
			c = over.NetConn()
		}
		c.Close()
	}
}
