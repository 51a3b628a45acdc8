//go:build !js

package transport

import (
	"context"
	"io"
	"net"
	"net/netip"
)

// The numbers of RFC 1928 and, for the password, of RFC 1929.
const (
	socksVersion      = 5
	socksNoAuth       = 0
	socksPassword     = 2
	socksNoneOffered  = 0xff
	socksConnect      = 1
	socksIPv4         = 1
	socksName         = 3
	socksIPv6         = 4
	passwordVersion   = 1
	passwordMaxLength = 255
)

// askSOCKS asks a SOCKS5 proxy to connect to the target. The proxy looks the name up.
func (d *dialer) askSOCKS(ctx context.Context, conn net.Conn, _ *proxyLogin) *DialError {
	if failed := d.greetSOCKS(ctx, conn); failed != nil {
		return failed
	}
	port, _ := portOf(d.target)
	request := append([]byte{socksVersion, socksConnect, 0}, socksAddress(d.host, port)...)
	if _, err := conn.Write(request); err != nil {
		return d.explainProxy(ctx, err)
	}
	var head [4]byte // version, reply, reserved, type of the address that follows
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return d.explainProxy(ctx, err)
	}
	if head[0] != socksVersion {
		return notSOCKS()
	}
	if head[1] != 0 {
		return explainSOCKS(head[1])
	}
	return d.skipSOCKSAddress(ctx, conn, head[3])
}

// greetSOCKS agrees on a method to log in, and logs in.
func (d *dialer) greetSOCKS(ctx context.Context, conn net.Conn) *DialError {
	hello := []byte{socksVersion, 1, socksNoAuth}
	if d.proxy.User != nil {
		hello = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	if _, err := conn.Write(hello); err != nil {
		return d.explainProxy(ctx, err)
	}
	var answer [2]byte
	spoke := d.probe(ctx, conn)
	_, err := io.ReadFull(conn, answer[:])
	if plain := spoke.stop(); plain != nil {
		return plain
	}
	if err != nil {
		return d.explainProxy(ctx, err)
	}
	switch {
	case string(answer[:]) == "HT": // the beginning of "HTTP/1.1 400"
		return isHTTP()
	case answer[0] != socksVersion:
		return notSOCKS()
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] == socksPassword && d.proxy.User != nil:
		return d.loginSOCKS(ctx, conn)
	case d.proxy.User == nil:
		return failure("the proxy wants a user name and a password: write them into its URL, such as socks5://user:password@proxy.example", true, nil)
	}
	return failure("the proxy takes no user name and password", true, nil)
}

func (d *dialer) loginSOCKS(ctx context.Context, conn net.Conn) *DialError {
	user := d.proxy.User.Username()
	password, _ := d.proxy.User.Password()
	if len(user) == 0 || len(user) > passwordMaxLength || len(password) > passwordMaxLength {
		return failure("user name and password of a SOCKS5 proxy have 1 to 255 bytes", true, nil)
	}
	request := append([]byte{passwordVersion, byte(len(user))}, user...)
	request = append(append(request, byte(len(password))), password...)
	if _, err := conn.Write(request); err != nil {
		return d.explainProxy(ctx, err)
	}
	var answer [2]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return d.explainProxy(ctx, err)
	}
	if answer[0] != passwordVersion || answer[1] != 0 {
		return failure("the proxy refuses the user name or the password", true, nil)
	}
	return nil
}

func socksAddress(host string, port uint16) []byte {
	var b []byte
	if addr, err := netip.ParseAddr(host); err != nil {
		b = append([]byte{socksName, byte(len(host))}, host...) // at most 253
	} else if addr = addr.Unmap(); addr.Is4() {
		b = append([]byte{socksIPv4}, addr.AsSlice()...)
	} else {
		b = append([]byte{socksIPv6}, addr.AsSlice()...)
	}
	return append(b, byte(port>>8), byte(port))
}

// skipSOCKSAddress reads the address from which the proxy connected, and no byte of what follows.
func (d *dialer) skipSOCKSAddress(ctx context.Context, conn net.Conn, kind byte) *DialError {
	var buf [1 + 255 + 2]byte
	size := 0
	switch kind {
	case socksIPv4:
		size = 4 + 2
	case socksIPv6:
		size = 16 + 2
	case socksName:
		if _, err := io.ReadFull(conn, buf[:1]); err != nil {
			return d.explainProxy(ctx, err)
		}
		size = int(buf[0]) + 2
	default:
		return notSOCKS()
	}
	if _, err := io.ReadFull(conn, buf[:size]); err != nil {
		return d.explainProxy(ctx, err)
	}
	return nil
}

func notSOCKS() *DialError {
	return failure("what answers at the proxy's address is no SOCKS5 proxy", true, nil)
}

// explainSOCKS explains a reply of RFC 1928, section 6.
func explainSOCKS(reply byte) *DialError {
	switch reply {
	case 2:
		return failure("the proxy does not allow this host and port: ask whoever runs it", true, nil)
	case 3, 4, 6:
		return failure("the proxy could not reach the host: is the name right, and the server running?", false, nil)
	case 5:
		return failure("the proxy reached the host, and nothing listens there: is the server running, and is the port right?", false, nil)
	case 7, 8:
		return failure("the proxy cannot connect to addresses of this kind", true, nil)
	}
	return failure("the proxy failed: try again later", false, nil)
}
