//go:build !js

package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

// A hop is a server for raw connections that keeps what it reads.
type hop struct {
	net.Listener
	wg sync.WaitGroup

	mu   sync.Mutex
	read bytes.Buffer
}

func (h *hop) saw() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read.String()
}

// keeping is a connection whose hop keeps what is read from it.
type keeping struct {
	net.Conn
	h *hop
}

func (k keeping) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	k.h.mu.Lock()
	defer k.h.mu.Unlock()
	k.h.read.Write(p[:n])
	return n, err
}

// startHop gives every connection to handle, inside TLS if there is a configuration,
// and closes it after that.
func startHop(t *testing.T, conf *tls.Config, handle func(net.Conn)) *hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hop{Listener: l}
	h.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if conf != nil {
				conn = tls.Server(conn, conf)
			}
			h.wg.Go(func() {
				defer conn.Close()
				handle(keeping{conn, h})
			})
		}
	})
	t.Cleanup(func() { l.Close(); h.wg.Wait() })
	return h
}

// splice passes everything on between two connections until one ends.
func splice(client io.ReadWriteCloser, r io.Reader, to string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(server, r); server.Close() })
	io.Copy(client, server)
	client.Close()
	server.Close()
	wg.Wait()
}

// connectProxy is a proxy for HTTP that wants the given Proxy-Authorization, and
// connects everybody to one address.
func connectProxy(to, want string) func(net.Conn) {
	return func(client net.Conn) {
		r := bufio.NewReader(client)
		req, err := http.ReadRequest(r)
		switch {
		case err != nil || req.Method != http.MethodConnect:
			io.WriteString(client, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
		case req.Header.Get("Proxy-Authorization") != want:
			io.WriteString(client, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"s3cr3t\"\r\n\r\n")
		default:
			io.WriteString(client, "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
			splice(client, r, to)
		}
	}
}

// answering is a proxy that reads a CONNECT and answers it with the same bytes
// always.
func answering(answer string) func(net.Conn) {
	return func(client net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(client)); err == nil {
			io.WriteString(client, answer)
		}
	}
}

func via(proxy string) func(context.Context, *url.URL) (*url.URL, error) {
	return func(context.Context, *url.URL) (*url.URL, error) { return url.Parse(proxy) }
}

func basicAuth(user string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user))
}

// TestA48ThroughProxies dials ws and wss through each kind of proxy, with a password
// for the proxy and credentials for the server.
func TestA48ThroughProxies(t *testing.T) {
	got := make(chan http.Header, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, accepting(nil))
		if err != nil {
			t.Error(err)
			return
		}
		got <- r.Header
		echo(conn)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	roots := &transport.TLSOptions{RootsPEM: pki.PEM(secure.Certificate())}
	wantPassword := basicAuth("us er:pa:ss")
	for _, scheme := range []string{"http", "https", "socks5", "socks5h"} {
		for _, target := range []*httptest.Server{plain, secure} {
			t.Run(scheme+" "+target.URL[:5], func(t *testing.T) {
				address := target.Listener.Addr().String()
				var conf *tls.Config
				ask := connectProxy(address, wantPassword)
				switch scheme {
				case "https":
					conf = &tls.Config{Certificates: secure.TLS.Certificates}
				case "socks5", "socks5h":
					ask = socksProxy(address, "us er", "pa:ss")
				}
				h := startHop(t, conf, ask)
				name := "service.example:1234"
				if target == plain {
					name = "localhost:1234" // where credentials may go without TLS
				}
				conn := dial(t, "http"+strings.TrimPrefix(target.URL[:strings.Index(target.URL, ":")], "http")+"://"+name+"/path?query=s3rv1ce", &transport.DialOptions{
					Proxy:       via(scheme + "://us%20er:pa%3Ass@" + h.Addr().String()),
					ProxyTLS:    &transport.TLSOptions{RootsPEM: roots.RootsPEM},
					TLS:         &transport.TLSOptions{RootsPEM: roots.RootsPEM, Base: &tls.Config{ServerName: "example.com"}},
					BearerToken: "s3rv1ce",
					Header:      http.Header{"Cookie": {"s3rv1ce=s3rv1ce"}},
				})
				wantEcho(t, conn)
				header := <-got
				if header.Get("Authorization") != "Bearer s3rv1ce" || header.Get("Proxy-Authorization") != "" {
					t.Errorf("the server got %v", header)
				}
				info := conn.Info()
				if want := scheme + "://" + h.Addr().String(); info.Proxy != want || info.Remote != h.Addr().String() {
					t.Errorf("Info has %q, %q", info.Proxy, info.Remote)
				}
				saw := h.saw()
				if target == secure && strings.Contains(saw, "s3rv1ce") {
					t.Error("the proxy saw a credential of the service")
				}
				if head, _, _ := strings.Cut(saw, "\r\n\r\n"); strings.HasPrefix(scheme, "http") {
					if want := "CONNECT " + name + " HTTP/1.1\r\nHost: " + name + "\r\nProxy-Authorization: " + wantPassword; head != want {
						t.Errorf("the proxy was asked\n%s", head)
					}
				}
			})
		}
	}
}

// dialVia dials something that is not there through a proxy that never gets so far.
func dialVia(t *testing.T, proxy string, opts transport.DialOptions) *transport.DialError {
	t.Helper()
	opts.Proxy = via(proxy)
	e := dialError(t, "wss://service.example/s3cr3t", &opts)
	if strings.Contains(fmt.Sprintf("%+v", e), "s3cr3t") || strings.Contains(e.Error(), "\n") {
		t.Errorf("shown as %q", e)
	}
	return e
}

func TestAProxyThatFails(t *testing.T) {
	const wait = 300 * time.Millisecond
	for name, c := range map[string]struct {
		answer    string
		user      string
		want      string
		status    int
		permanent bool
	}{
		"not allowed":     {"HTTP/1.1 403 s3cr3t\r\n\r\n", "", "does not allow this host and port (403 Forbidden)", 403, true},
		"bad gateway":     {"HTTP/1.1 502 s3cr3t\r\n\r\n", "", "could not reach the host (502 Bad Gateway)", 502, false},
		"unavailable":     {"HTTP/1.1 503 s3cr3t\r\nRetry-After: 7\r\n\r\n", "", "could not reach the host (503 Service Unavailable)", 503, false},
		"busy":            {"HTTP/1.1 429 s3cr3t\r\n\r\n", "", "try again later", 429, false},
		"no password":     {"HTTP/1.1 407 s3cr3t\r\nProxy-Authenticate: Basic\r\n\r\n", "", "wants a user name and a password (407", 407, true},
		"wrong password":  {"HTTP/1.1 407 s3cr3t\r\nProxy-Authenticate: Basic\r\n\r\n", "me:s3cr3t@", "refuses the user name or the password (407", 407, true},
		"tinyproxy's 401": {"HTTP/1.1 401 s3cr3t\r\nProxy-Authenticate: Basic\r\n\r\n", "me:s3cr3t@", "refuses the user name or the password (401", 401, true},
		"a web server":    {"HTTP/1.1 405 s3cr3t\r\n\r\n", "", "is it an HTTP proxy?", 405, true},
		"redirect":        {"HTTP/1.1 302 s3cr3t\r\nLocation: http://s3cr3t\r\n\r\n", "", "is it an HTTP proxy?", 302, true},
		"cut":             {"", "", "closed the connection without an answer", 0, false},
		"cut halfway":     {"HTTP/1.1 200 s3cr3t\r\nX-s3cr3t: ", "", "closed the connection without an answer", 0, false},
		"no HTTP":         {"220 s3cr3t ESMTP\r\n", "", "does not speak HTTP", 0, true},
		"forward":         {"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols", "", "of its own before the server could", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := startHop(t, nil, answering(c.answer))
			e := dialVia(t, "http://"+c.user+h.Addr().String(), transport.DialOptions{})
			if !strings.Contains(e.Error(), c.want) || e.Status != c.status || e.Permanent() != c.permanent {
				t.Errorf("got %v, status %d, permanent %v", e, e.Status, e.Permanent())
			}
			if e.Phase != transport.PhaseProxy || e.Proxy != "http://"+h.Addr().String() {
				t.Errorf("phase %v, proxy %q", e.Phase, e.Proxy)
			}
			if name == "unavailable" && e.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter is %v", e.RetryAfter)
			}
		})
	}
	t.Run("stalls", func(t *testing.T) {
		h := startHop(t, nil, func(c net.Conn) { io.Copy(io.Discard, c) })
		for _, scheme := range []string{"http", "https", "socks5"} {
			e := dialVia(t, scheme+"://"+h.Addr().String(), transport.DialOptions{Timeouts: transport.DialTimeouts{Proxy: wait}})
			if !errors.Is(e, context.DeadlineExceeded) || e.Phase != transport.PhaseProxy || e.Permanent() {
				t.Errorf("%s: %v, %v", scheme, e.Phase, e)
			}
		}
	})
	t.Run("endless", func(t *testing.T) {
		h := startHop(t, nil, func(c net.Conn) {
			for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"); err == nil; {
				_, err = io.WriteString(c, "X: s3cr3t\r\n")
			}
		})
		if e := dialVia(t, "http://"+h.Addr().String(), transport.DialOptions{}); !strings.Contains(e.Error(), "closed the connection without an answer") {
			t.Errorf("got %v", e)
		}
	})
	t.Run("refused", func(t *testing.T) {
		e := dialVia(t, "http://"+freeport.Address(t), transport.DialOptions{})
		if e.Phase != transport.PhaseConnect || !strings.Contains(e.Error(), "the proxy http://127.0.0.1:") || e.Permanent() {
			t.Errorf("%v: %v", e.Phase, e)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		e := dialVia(t, "http://proxy.invalid", transport.DialOptions{})
		if e.Phase != transport.PhaseResolve || !strings.Contains(e.Error(), "the proxy http://proxy.invalid: ") {
			t.Errorf("%v: %v", e.Phase, e)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		s := httptest.NewTLSServer(nil)
		s.Config.ErrorLog = quiet()
		defer s.Close()
		e := dialVia(t, s.URL, transport.DialOptions{})
		if e.Phase != transport.PhaseProxy || !strings.Contains(e.Error(), "the proxy's TLS: the server's certificate is self-signed") {
			t.Errorf("%v: %v", e.Phase, e)
		}
	})
}

// socksProxy is a SOCKS5 proxy that wants a user and a password, if user is not
// empty, and connects everybody to one address.
func socksProxy(to, user, password string) func(net.Conn) {
	return func(client net.Conn) {
		r := bufio.NewReader(client)
		head := make([]byte, 2)
		io.ReadFull(r, head)
		methods := make([]byte, head[1])
		io.ReadFull(r, methods)
		if user != "" {
			if !bytes.Contains(methods, []byte{2}) {
				client.Write([]byte{5, 0xff})
				return
			}
			client.Write([]byte{5, 2})
			r.ReadByte()
			field := func() string {
				n, _ := r.ReadByte()
				b := make([]byte, n)
				io.ReadFull(r, b)
				return string(b)
			}
			if u, p := field(), field(); u != user || p != password {
				client.Write([]byte{1, 1})
				return
			}
			client.Write([]byte{1, 0})
		} else {
			client.Write([]byte{5, 0})
		}
		request := make([]byte, 5)
		io.ReadFull(r, request)
		if !bytes.HasPrefix(request, []byte{5, 1, 0, 3}) { // a name, which the proxy looks up
			client.Write([]byte{5, 8, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		io.ReadFull(r, make([]byte, int(request[4])+2))
		client.Write(append([]byte{5, 0, 0, 3, 4}, "here\x12\x34"...))
		splice(client, r, to)
	}
}

func TestASOCKSProxyThatFails(t *testing.T) {
	greeted := func(reply string) func(net.Conn) {
		return func(c net.Conn) {
			io.ReadFull(c, make([]byte, 3))
			io.WriteString(c, "\x05\x00")
			io.ReadFull(c, make([]byte, 5+len("service.example")+2))
			io.WriteString(c, reply)
		}
	}
	first := func(answer string) func(net.Conn) {
		return func(c net.Conn) {
			io.ReadFull(c, make([]byte, 3))
			io.WriteString(c, answer)
		}
	}
	for name, c := range map[string]struct {
		proxy     func(net.Conn)
		user      string
		want      string
		permanent bool
	}{
		"wants a password": {socksProxy("", "me", "s3cr3t"), "", "wants a user name and a password", true},
		"wrong password":   {socksProxy("", "me", "other"), "me:s3cr3t@", "refuses the user name or the password", true},
		"no user":          {socksProxy("", "me", "other"), ":s3cr3t@", "have 1 to 255 bytes", true},
		"other methods":    {first("\x05\xff"), "me:s3cr3t@", "takes no user name and password", true},
		"what nobody said": {first("\x05\x02"), "", "wants a user name and a password", true},
		"cut":              {first(""), "", "without an answer", false},
		"cut later":        {greeted("\x05\x00"), "", "without an answer", false},
		"cut at the end":   {greeted("\x05\x00\x00\x01\x7f\x00"), "", "without an answer", false},
		"HTTP":             {first("HTTP/1.1 400"), "", "is an HTTP proxy", true},
		"version":          {greeted("\x04\x00\x00\x01"), "", "no SOCKS5 proxy", true},
		"address":          {greeted("\x05\x00\x00\x02"), "", "no SOCKS5 proxy", true},
		"failed":           {greeted("\x05\x01\x00\x01"), "", "the proxy failed", false},
		"not allowed":      {greeted("\x05\x02\x00\x01"), "", "does not allow this host", true},
		"no network":       {greeted("\x05\x03\x00\x01"), "", "could not reach the host", false},
		"no host":          {greeted("\x05\x04\x00\x01"), "", "could not reach the host", false},
		"refused":          {greeted("\x05\x05\x00\x01"), "", "nothing listens there", false},
		"no such command":  {greeted("\x05\x07\x00\x01"), "", "addresses of this kind", true},
		"future":           {greeted("\x05\x63\x00\x01"), "", "the proxy failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := startHop(t, nil, c.proxy)
			e := dialVia(t, "socks5://"+c.user+h.Addr().String(), transport.DialOptions{})
			if !strings.Contains(e.Error(), c.want) || e.Permanent() != c.permanent || e.Phase != transport.PhaseProxy {
				t.Errorf("%v, permanent %v: %v", e.Phase, e.Permanent(), e)
			}
		})
	}
}

// challenging is a proxy that accepts the given answer to its challenge, on the
// connection where it was given or on the next.
func challenging(to, answer string, hangsUp bool) func(net.Conn) {
	return func(client net.Conn) {
		r := bufio.NewReader(client)
		for {
			req, err := http.ReadRequest(r)
			switch {
			case err != nil:
				return
			case req.Header.Get("Proxy-Authorization") == answer:
				io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
				splice(client, r, to)
				return
			case hangsUp:
				io.WriteString(client, "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest nonce=1\r\nProxy-Authenticate: Negotiate\r\n\r\ngo away")
				return
			}
			io.WriteString(client, "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest nonce=1\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 7\r\n\r\ngo away")
		}
	}
}

func TestProxyAuthAnswersChallenges(t *testing.T) {
	server, roots := tlsServer(t, echo)
	for _, hangsUp := range []bool{false, true} {
		h := startHop(t, nil, challenging(strings.TrimPrefix(server, "wss://"), "Digest s3cr3t", hangsUp))
		var asked []string
		opts := &transport.DialOptions{
			Proxy: via("http://me@" + h.Addr().String()),
			ProxyAuth: func(_ context.Context, proxy *url.URL, challenges []string) (string, error) {
				asked = append(asked, proxy.User.Username()+" "+strings.Join(challenges, "; "))
				if len(challenges) == 0 {
					return "", nil
				}
				return "Digest s3cr3t", nil
			},
			TLS: &transport.TLSOptions{Base: &tls.Config{RootCAs: roots}},
		}
		wantEcho(t, dial(t, "wss://example.com", opts))
		if got := strings.Join(asked, "\n"); got != "me \nme Digest nonce=1; Negotiate" {
			t.Errorf("ProxyAuth was asked\n%s", got)
		}
	}
}

func TestProxyAuthThatFails(t *testing.T) {
	for _, hangsUp := range []bool{false, true} {
		h := startHop(t, nil, challenging("", "nothing", hangsUp))
		asked := 0
		auth := func(header string, err error) transport.DialOptions {
			return transport.DialOptions{ProxyAuth: func(context.Context, *url.URL, []string) (string, error) {
				asked++
				return header, err
			}}
		}
		e := dialVia(t, "http://"+h.Addr().String(), auth("Digest s3cr3t", nil))
		if asked != 5 || !e.Permanent() || !strings.Contains(e.Error(), "not content") {
			t.Errorf("asked %d times: %v", asked, e)
		}
		e = dialVia(t, "http://"+h.Addr().String(), auth("Digest s3cr3t\r\nX: y", nil))
		if !e.Permanent() || !strings.Contains(e.Error(), "control character") {
			t.Errorf("%v", e)
		}
		noTicket := errors.New("no ticket: run kinit")
		e = dialVia(t, "http://"+h.Addr().String(), auth("", noTicket))
		if !errors.Is(e, noTicket) || !strings.Contains(e.Error(), "ProxyAuth failed: no ticket: run kinit") {
			t.Errorf("%v", e)
		}
	}
}

// TestA48WhatAProxyMayNotGet refuses before anything is sent.
func TestA48WhatAProxyMayNotGet(t *testing.T) {
	failing := errors.New("no proxy today")
	for name, c := range map[string]struct {
		url  string
		opts transport.DialOptions
		want string
	}{
		"password in the clear":  {"wss://service.example", transport.DialOptions{Proxy: via("http://me:s3cr3t@192.0.2.1")}, "InsecureProxyPassword"},
		"the same for SOCKS":     {"wss://service.example", transport.DialOptions{Proxy: via("socks5://me:s3cr3t@192.0.2.1")}, "InsecureProxyPassword"},
		"SOCKS, hook":            {"wss://service.example", transport.DialOptions{Proxy: via("socks5://me:s3cr3t@192.0.2.1"), ProxyAuth: func(context.Context, *url.URL, []string) (string, error) { return "", nil }}, "InsecureProxyPassword"},
		"development, elsewhere": {"ws://localhost", transport.DialOptions{Proxy: via("http://192.0.2.1")}, "a proxy on another machine"},
		"header":                 {"wss://service.example", transport.DialOptions{Header: http.Header{"proxy-authorization": {"s3cr3t"}}}, "it is for the proxy, not for the server"},
		"scheme":                 {"wss://service.example", transport.DialOptions{Proxy: via("ftp://me:s3cr3t@192.0.2.1")}, `not "ftp"`},
		"no host":                {"wss://service.example", transport.DialOptions{Proxy: via("http:me:s3cr3t")}, "names no host"},
		"error":                  {"wss://service.example", transport.DialOptions{Proxy: func(context.Context, *url.URL) (*url.URL, error) { return nil, failing }}, "DialOptions.Proxy failed: no proxy today"},
	} {
		e := dialError(t, c.url, &c.opts)
		if !strings.Contains(e.Error(), c.want) || e.Phase != 0 || strings.Contains(fmt.Sprintf("%+v", e), "s3cr3t") {
			t.Errorf("%s: %v", name, e)
		}
		if errors.Is(e, failing) != (name == "error") {
			t.Errorf("%s hands on %v", name, errors.Unwrap(e))
		}
	}
}

func TestTheProxyIsAskedForTheTargetAlone(t *testing.T) {
	var got []string
	for _, target := range []string{"wss://service.example:7/path?s3cr3t", "http://service.example"} {
		dialError(t, target, &transport.DialOptions{Sealed: true, Proxy: func(_ context.Context, target *url.URL) (*url.URL, error) {
			got = append(got, target.String())
			return nil, errors.New("enough")
		}})
	}
	if s := strings.Join(got, " "); s != "wss://service.example:7 ws://service.example" {
		t.Errorf("asked for %s", s)
	}
}
