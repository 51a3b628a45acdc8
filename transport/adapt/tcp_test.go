//go:build !js

package adapt_test

import (
	"net"
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
	"github.com/hopseal/hopseal/transport/conntest"
)

// tcp returns the two ends of a TCP connection.
func tcp(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestTCPThatCarriesMessages(t *testing.T) {
	conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) {
		x, y := tcp(t)
		return adapt.FromNetConn(x, limited), adapt.FromNetConn(y, limited)
	}})
}
