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

// probeAfter is how long a proxy may be silent before a probe asks it in HTTP whether it speaks
// that. A SOCKS5 or TLS proxy answers within a round trip.
const probeAfter = time.Second

// A probe detects a plain HTTP proxy that was configured as a SOCKS5 or TLS proxy. Most HTTP
// proxies then wait for the end of a line that never comes, until the deadline.
type probe struct {
	timer  *time.Timer
	cancel context.CancelFunc
	state  atomic.Int32 // probing at first, then stopped or plainHTTP
}

const (
	probing int32 = iota
	stopped
	plainHTTP
)

// probe begins a probe while the dialer waits for the proxy's first answer on conn. If the proxy
// speaks plain HTTP, the probe ends that wait.
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

// stop ends the probe. It returns an error if the proxy speaks plain HTTP; then conn cannot be
// used.
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

// speaksHTTP sends a harmless HTTP request on a second connection, and reports whether the answer
// is plain HTTP. A server that wants TLS also answers in plain HTTP, to say so: it is slow, but no
// plain proxy.
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

// maxProbed bounds how much of the answer is read, in bytes.
const maxProbed = 2 << 10

// wantsTLS matches the answers of Go, nginx, Apache and Tomcat to a client that speaks plain HTTP
// on a TLS port.
var wantsTLS = regexp.MustCompile(`(?i)plain HTTP|HTTPS (server|port)|SSL-enabled|requires TLS`)
