//go:build !js

package transport

import (
	"context"
	"io"
	"net"
	"regexp"
	"sync/atomic"
	"time"
)

// probeAfter is how long a proxy may be silent before it is asked in HTTP whether that is
// what it speaks. One that has to begin with SOCKS5 or TLS answers in a round trip.
const probeAfter = time.Second

// A probe finds out whether what is taken for a SOCKS5 or TLS proxy is a plain HTTP proxy.
// Most of those wait for the end of a line that never comes, up to the deadline.
type probe struct {
	timer  *time.Timer
	cancel context.CancelFunc
	state  atomic.Int32 // probing, then one of the others
}

const (
	probing int32 = iota
	stopped
	plainHTTP
)

// probe begins one while the proxy's first answer is waited for on conn, and has that end
// where it will not come.
func (d *dialer) probe(ctx context.Context, conn net.Conn) *probe {
	p := new(probe)
	ctx, p.cancel = context.WithCancel(ctx)
	p.timer = time.AfterFunc(probeAfter, func() {
		if speaksHTTP(ctx, d.info.Remote) && p.state.CompareAndSwap(probing, plainHTTP) {
			conn.SetDeadline(time.Unix(1, 0))
		}
	})
	return p
}

// stop ends the probe, and returns what it has found: conn is of no use then.
func (p *probe) stop() *DialError {
	p.timer.Stop()
	p.cancel()
	if p.state.CompareAndSwap(probing, stopped) {
		return nil
	}
	return isHTTP()
}

func isHTTP() *DialError {
	return failure("what answers at the proxy's address is an HTTP proxy: its URL should start with http://", true, nil)
}

// speaksHTTP asks for something that no HTTP server does. One that wants TLS says so, in
// plain HTTP: it is as slow as it looks, and no plain proxy.
func speaksHTTP(ctx context.Context, addr string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer unblock(ctx, conn)()
	io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\n\r\n")
	answer := make([]byte, len("HTTP/"), maxProbed)
	if _, err = io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/" {
		return false
	}
	conn.SetReadDeadline(time.Now().Add(probeAfter)) // for the rest, which may have no end
	n, _ := io.ReadFull(conn, answer[len(answer):maxProbed])
	return ctx.Err() == nil && !wantsTLS.Match(answer[:len(answer)+n])
}

// maxProbed is how much of an answer is looked at, in bytes.
const maxProbed = 2 << 10

// wantsTLS matches what Go, nginx, Apache and Tomcat say to those who speak no TLS to them.
var wantsTLS = regexp.MustCompile(`(?i)plain HTTP|HTTPS (server|port)|SSL-enabled|requires TLS`)
