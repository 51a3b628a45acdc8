//go:build !js

package transport_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// handshake is what a client sends, beside what a test adds.
const handshake = "GET /socket?token=qu3ry HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// accepting returns opts, or the zero value for nil, for servers on this machine.
func accepting(opts *transport.AcceptOptions) *transport.AcceptOptions {
	changed := transport.AcceptOptions{Policy: transport.Development}
	if opts != nil {
		changed = *opts
		changed.Policy = transport.Development
	}
	return &changed
}

// An outcome is what Accept returned.
type outcome struct {
	conn transport.Conn
	err  error
}

// acceptor serves Accept and hands on what comes out.
func acceptor(t *testing.T, opts *transport.AcceptOptions) (addr string, outcomes <-chan outcome) {
	t.Helper()
	return production(t, accepting(opts))
}

// production is acceptor without Policy Development.
func production(t *testing.T, opts *transport.AcceptOptions) (addr string, outcomes <-chan outcome) {
	t.Helper()
	out := make(chan outcome, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, opts)
		if conn != nil {
			t.Cleanup(func() { conn.Read(cancelled(), nil) }) // Close would wait for an answer
		}
		out <- outcome{conn, err}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), out
}

// send sends a request by hand, to which Host is added where it names none, and
// returns the answer.
func send(t *testing.T, addr, request string) (resp *http.Response, body string, socket net.Conn) {
	t.Helper()
	socket, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	if !strings.Contains(request, "\r\nHost: ") {
		request += "Host: " + addr + "\r\n"
	}
	if _, err := socket.Write([]byte(request + "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err = http.ReadResponse(bufio.NewReader(socket), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text := new(strings.Builder)
		bufio.NewReader(resp.Body).WriteTo(text)
		body = text.String()
	}
	return resp, body, socket
}

// wantRefusal checks an answer, and what Accept says to the server.
func wantRefusal(t *testing.T, resp *http.Response, got outcome, status int, is error) {
	t.Helper()
	var e *transport.AcceptError
	if !errors.As(got.err, &e) {
		t.Fatalf("got %v (%T), want an AcceptError", got.err, got.err)
	}
	if resp.StatusCode != status || e.Status != status {
		t.Fatalf("answered %d, the error says %v, want %d", resp.StatusCode, e, status)
	}
	if is != nil && !errors.Is(e, is) {
		t.Fatalf("%v does not match %v", e, is)
	}
	if text := fmt.Sprintf("%v %+v", e, *e); strings.Contains(text, "qu3ry") || strings.Contains(e.Error(), "\n") {
		t.Fatalf("the error shows too much: %s", text)
	}
}

func TestAcceptTakesHandshakesOnly(t *testing.T) {
	addr, outcomes := acceptor(t, nil)
	for name, c := range map[string]struct {
		old, new string
		status   int
	}{
		"HTTP/1.0":        {"HTTP/1.1", "HTTP/1.0", 426},
		"no upgrade":      {"Connection: keep-alive, Upgrade\r\n", "", 426},
		"upgrade to else": {"Upgrade: WebSocket", "Upgrade: h2c", 426},
		"POST":            {"GET", "POST", 405},
		"version 12":      {"Version: 13", "Version: 12", 400},
		"two versions":    {"Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 12\r\n", 400},
		"no key":          {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400},
		"a short key":     {"dGhlIHNhbXBsZSBub25jZQ==", "qu3ry", 400},
		"two keys":        {"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key", 400},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body, _ := send(t, addr, strings.Replace(handshake, c.old, c.new, 1))
			wantRefusal(t, resp, <-outcomes, c.status, nil)
			if body != "this address takes WebSocket connections only\n" {
				t.Errorf("the client reads %q", body)
			}
			if c.status == 426 && resp.Header.Get("Upgrade") != "websocket" || c.status == 400 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("headers %v", resp.Header)
			}
		})
	}
}

// TestA43OriginBehindAFront is for pages of the public name, which the front keeps
// to itself.
func TestA43OriginBehindAFront(t *testing.T) {
	const front = "Host: backend:8080\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example\r\nForwarded: for=192.0.2.7;proto=https;host=app.example\r\n"
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		hops   []netip.Prefix
		origin string
		ok     bool
	}{
		{loopback, "https://app.example", true},
		{loopback, "http://app.example", false},
		{loopback, "https://backend:8080", false},
		{loopback, "http://backend:8080", false},
		{elsewhere, "https://app.example", false},
		{elsewhere, "http://backend:8080", true},
		{nil, "https://app.example", false},
	} {
		t.Run(fmt.Sprint(c.hops, c.origin), func(t *testing.T) {
			addr, outcomes := production(t, &transport.AcceptOptions{Sealed: true, TrustedHops: c.hops, Hosts: []string{"*"}})
			resp, body, _ := send(t, addr, handshake+front+"Origin: "+c.origin+"\r\n")
			got := <-outcomes
			if !c.ok {
				wantRefusal(t, resp, got, 403, transport.ErrOrigin)
				if body != "pages of this origin may not connect here\n" {
					t.Errorf("the client reads %q", body)
				}
				return
			}
			if got.err != nil || got.conn.Info().Origin != c.origin {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

func TestA49InfoBehindAFront(t *testing.T) {
	const front = "X-Forwarded-For: 10.1.1.1, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
	for hops, want := range map[string]transport.Info{
		"127.0.0.0/8": {Kind: "wss", Client: "192.0.2.7"},
		"10.0.0.0/8":  {Kind: "ws", Client: "127.0.0.1"},
	} {
		addr, outcomes := production(t, &transport.AcceptOptions{Sealed: true, TrustedHops: []netip.Prefix{netip.MustParsePrefix(hops)}})
		_, _, socket := send(t, addr, handshake+front)
		got := <-outcomes
		if got.err != nil {
			t.Fatal(got.err)
		}
		want.Local, want.Remote = addr, socket.LocalAddr().String()
		if info := got.conn.Info(); info != want {
			t.Errorf("%s: got %+v, want %+v", hops, info, want)
		}
	}
}

func TestAContradictionIsRefused(t *testing.T) {
	addr, outcomes := acceptor(t, &transport.AcceptOptions{TrustedHops: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	resp, body, _ := send(t, addr, handshake+"X-Forwarded-For: 192.0.2.7\r\nForwarded: for=1.1.1.1\r\n")
	wantRefusal(t, resp, <-outcomes, 400, nil)
	if strings.Contains(body, "1.1.1.1") {
		t.Errorf("the client reads %q", body)
	}
}

func TestCleartextNeedsAReason(t *testing.T) {
	type options = transport.AcceptOptions
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	const https, http = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
	const local = "X-Forwarded-For: 127.0.0.1\r\n"
	for name, c := range map[string]struct {
		opts    options
		headers string
		advice  string // "" where it is accepted
	}{
		"production":                        {options{}, "", "serve wss://, list what terminates TLS in front of it in TrustedHops, set Sealed if"},
		"sealed":                            {options{Sealed: true}, "", ""},
		"sealed, TLS required":              {options{Sealed: true, RequireTLS: true}, "", "serve wss://, or list"},
		"development":                       {options{Policy: transport.Development}, "", ""},
		"development, localhost":            {options{Policy: transport.Development}, "Host: localhost:80\r\n", ""},
		"development, IPv6":                 {options{Policy: transport.Development}, "Host: [::1]:80\r\n", ""},
		"development, no port":              {options{Policy: transport.Development}, "Host: [::1]\r\n", ""},
		"development, TLS required":         {options{Policy: transport.Development, RequireTLS: true}, "", "serve wss://"},
		"development, rebound name":         {options{Policy: transport.Development}, "Host: evil.example\r\nOrigin: http://evil.example\r\n", "only from a loopback address to localhost"},
		"development, through a proxy":      {options{Policy: transport.Development}, http, "past no proxy"},
		"development, through a liar":       {options{Policy: transport.Development}, https, "past no proxy"},
		"development, through a known hop":  {options{Policy: transport.Development, TrustedHops: loopback}, http, "past no proxy"},
		"development, known hop, from here": {options{Policy: transport.Development, TrustedHops: loopback}, local, ""},
		"a stranger says https":             {options{}, https, "TrustedHops"},
		"a hop says https":                  {options{TrustedHops: loopback}, https, ""},
		"a hop says https, TLS required":    {options{TrustedHops: loopback, RequireTLS: true}, https, ""},
		"a hop says http":                   {options{TrustedHops: loopback}, http, "TrustedHops"},
		"a hop says nothing":                {options{TrustedHops: loopback}, "", "TrustedHops"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, outcomes := production(t, &c.opts)
			resp, body, _ := send(t, addr, handshake+c.headers)
			got := <-outcomes
			if c.advice == "" {
				if got.err != nil {
					t.Fatal(got.err)
				}
				return
			}
			wantRefusal(t, resp, got, 403, transport.ErrCleartext)
			if !strings.Contains(got.err.Error(), c.advice) {
				t.Errorf("got %v, want %q", got.err, c.advice)
			}
			if body != "connections to this address need TLS (wss://)\n" {
				t.Errorf("the client reads %q", body)
			}
		})
	}
	addr, outcomes := production(t, &options{Policy: 7, Sealed: true})
	resp, _, _ := send(t, addr, handshake)
	wantRefusal(t, resp, <-outcomes, 500, nil)
}
