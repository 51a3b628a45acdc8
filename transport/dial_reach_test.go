//go:build !js

package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"testing"
)

func TestRaceTriesTheNextAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.1")}
	conn, err := race(t.Context(), addrs, port)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().String(); got != l.Addr().String() {
		t.Errorf("connected to %s", got)
	}
	conn.Close()

	if conn, err = race(t.Context(), addrs[:2], port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v, %v", conn, err)
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Addr.(*net.TCPAddr).IP.String() != "127.0.0.2" {
		t.Errorf("the error is not that of the first address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if conn, err = race(ctx, addrs, port); err == nil {
		conn.Close()
		t.Error("connected with a context that has ended")
	}
}

func TestResolveKeepsLocalhostHere(t *testing.T) {
	got := loopbackOnly([]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("::1")})
	if len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestResolveObeysTheNetwork(t *testing.T) {
	for network, host := range map[string]string{"tcp4": "::1", "tcp6": "127.0.0.1"} {
		d := newDialer(&url.URL{Scheme: "wss", Host: host}, &DialOptions{Network: network})
		addrs, err := d.resolve(t.Context(), host)
		var e *DialError
		if !errors.As(err, &e) || e.Phase != PhaseResolve || !e.Permanent() {
			t.Errorf("%s: %v, %v", network, addrs, err)
		}
	}
}

func TestHostsAreASCIIOnTheWay(t *testing.T) {
	for in, want := range map[string]string{
		"bücher.example":          "xn--bcher-kva.example",
		"BÜCHER.example":          "xn--bcher-kva.example",
		"plain-1_2.example":       "plain-1_2.example",
		"[2001:DB8::1]":           "2001:db8::1",
		"127.0.0.1":               "127.0.0.1",
		"[fe80::1%eth0]":          "fe80::1%eth0",
		"[fe80::1%a b]":           "",
		"a b.example":             "",
		"a\r\nb.example":          "",
		"a%2fb.example":           "",
		"ex\u202eample.com\u2028": "",
	} {
		got, problem := asciiHost(&url.URL{Host: in})
		if got != want || (want == "") != (problem != "") {
			t.Errorf("%q gives %q, %q", in, got, problem)
		}
	}
}
