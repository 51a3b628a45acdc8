//go:build linux

package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

// leavesNothing runs a test and then wants no goroutine and no descriptor more than
// before.
func leavesNothing(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	before, running := descriptors(t), leak.Running()
	t.Run(name, test)
	leak.None(t, running) // waits for a while
	after := descriptors(t)
	for range 200 { // a server in this process closes its end when it comes to that
		if after <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
		after = descriptors(t)
	}
	t.Errorf("%s: %d descriptors before, %d after", name, before, after)
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// A fault is a dial that has to fail.
type fault struct {
	url       string
	opts      transport.DialOptions
	want      string
	phase     transport.Phase
	status    int
	permanent bool
	cause     error // what the error matches, or nil
}

func (f fault) check(t *testing.T) *transport.DialError {
	t.Helper()
	e := dialError(t, f.url, &f.opts)
	text := e.Error()
	if !strings.Contains(text, f.want) || strings.ContainsAny(text, "\n\x1b") || strings.Contains(text, "s3cr3t") {
		t.Errorf("shown as %q, want %q", text, f.want)
	}
	if e.Phase != f.phase || e.Status != f.status || e.Permanent() != f.permanent {
		t.Errorf("phase %v, status %d, permanent %v: %v", e.Phase, e.Status, e.Permanent(), e)
	}
	if f.cause != nil && !errors.Is(e, f.cause) {
		t.Errorf("%v does not match %v", e, f.cause)
	}
	return e
}

func TestFaultsOnTheWay(t *testing.T) {
	wantEcho(t, dial(t, serve(t, nil, echo), nil)) // opens what stays open, such as the poller
	const wait = 200 * time.Millisecond
	waits := transport.DialOptions{Timeouts: transport.DialTimeouts{Connect: wait, Proxy: wait, TLS: wait, Upgrade: wait}}
	stalls := func(c net.Conn) { io.Copy(io.Discard, c) }
	for name, start := range map[string]func(t *testing.T) fault{
		"unknown host": func(t *testing.T) fault {
			return fault{url: "wss://hopseal.invalid/s3cr3t", want: "there is no host of that name", phase: transport.PhaseResolve}
		},
		"refused": func(t *testing.T) fault {
			return fault{url: "wss://" + freeport.Address(t), want: "nothing listens there", phase: transport.PhaseConnect, cause: syscall.ECONNREFUSED}
		},
		"dropped SYN": func(t *testing.T) fault {
			return fault{url: "wss://" + fullBacklog(t), opts: waits, want: "no answer in time: check the address, and any firewall", phase: transport.PhaseConnect, cause: context.DeadlineExceeded}
		},
		"reset after hello": func(t *testing.T) fault {
			h := startHop(t, nil, resetting)
			return fault{url: "wss://" + h.Addr().String(), want: "cut in the TLS handshake", phase: transport.PhaseTLS}
		},
		"cut after hello": func(t *testing.T) fault {
			h := startHop(t, nil, func(c net.Conn) { c.Read(make([]byte, 100)) })
			return fault{url: "wss://" + h.Addr().String(), want: "cut in the TLS handshake", phase: transport.PhaseTLS}
		},
		"no answer to hello": func(t *testing.T) fault {
			h := startHop(t, nil, stalls)
			return fault{url: "wss://" + h.Addr().String(), opts: waits, want: "no answer in time to the TLS handshake", phase: transport.PhaseTLS, cause: context.DeadlineExceeded}
		},
		"reset after the request": func(t *testing.T) fault {
			h := startHop(t, nil, resetting)
			return fault{url: "ws://" + h.Addr().String(), want: "reset without an answer", phase: transport.PhaseUpgrade}
		},
		"no answer to the request": func(t *testing.T) fault {
			h := startHop(t, nil, stalls)
			return fault{url: "ws://" + h.Addr().String(), opts: waits, want: "no answer in time to the WebSocket handshake", phase: transport.PhaseUpgrade, cause: context.DeadlineExceeded}
		},
		"slow loris": func(t *testing.T) fault {
			h := startHop(t, nil, func(c net.Conn) {
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n")
				tick := time.NewTicker(wait / 20)
				defer tick.Stop()
				for range tick.C {
					if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
						return
					}
				}
			})
			return fault{url: "ws://" + h.Addr().String(), opts: waits, want: "no answer in time to the WebSocket handshake", phase: transport.PhaseUpgrade, cause: context.DeadlineExceeded}
		},
		"endless answer": func(t *testing.T) fault {
			h := startHop(t, nil, func(c net.Conn) {
				for _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n"); err == nil; {
					_, err = io.WriteString(c, "X: "+strings.Repeat("s3cr3t", 1000)+"\r\n")
				}
			})
			return fault{url: "ws://" + h.Addr().String(), want: "answer to the WebSocket handshake is too long", phase: transport.PhaseUpgrade}
		},
		"endless hints": func(t *testing.T) fault {
			h := startHop(t, nil, func(c net.Conn) {
				for err := error(nil); err == nil; {
					_, err = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
				}
			})
			return fault{url: "ws://" + h.Addr().String(), want: "answer to the WebSocket handshake is too long", phase: transport.PhaseUpgrade}
		},
		"proxy refuses": func(t *testing.T) fault {
			h := startHop(t, nil, answering("HTTP/1.1 403 s3cr3t\r\n\r\n"))
			return fault{url: "wss://service.example", opts: transport.DialOptions{Proxy: via("http://" + h.Addr().String())}, want: "does not allow this host", phase: transport.PhaseProxy, status: 403, permanent: true}
		},
		"proxy cannot": func(t *testing.T) fault {
			h := startHop(t, nil, answering("HTTP/1.1 502 s3cr3t\r\n\r\n"))
			return fault{url: "ws://service.example", opts: transport.DialOptions{Sealed: true, Proxy: via("http://" + h.Addr().String())}, want: "could not reach the host", phase: transport.PhaseProxy, status: 502}
		},
		"wrong proxy password": func(t *testing.T) fault {
			h := startHop(t, nil, connectProxy("", "other"))
			return fault{url: "wss://service.example", opts: transport.DialOptions{Proxy: via("http://me:s3cr3t@" + h.Addr().String())}, want: "refuses the user name or the password", phase: transport.PhaseProxy, status: 407, permanent: true}
		},
		"proxy cuts CONNECT": func(t *testing.T) fault {
			h := startHop(t, nil, answering("HTTP/1.1 200 s3c"))
			return fault{url: "wss://service.example", opts: transport.DialOptions{Proxy: via("http://" + h.Addr().String())}, want: "the proxy closed the connection without an answer", phase: transport.PhaseProxy}
		},
		"proxy stalls": func(t *testing.T) fault {
			h := startHop(t, nil, stalls)
			opts := waits
			opts.Proxy = via("http://" + h.Addr().String())
			return fault{url: "wss://service.example", opts: opts, want: "no answer in time from the proxy", phase: transport.PhaseProxy, cause: context.DeadlineExceeded}
		},
		"proxy of an unknown authority": func(t *testing.T) fault {
			h := startHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("proxy", pki.Root()).Pair()}}, stalls)
			return fault{url: "wss://service.example", opts: transport.DialOptions{Proxy: via("https://" + h.Addr().String())}, want: "the proxy's TLS: the server's certificate comes from an authority unknown here", phase: transport.PhaseProxy, permanent: true}
		},
		"no WebSocket server": func(t *testing.T) fault {
			h := startHop(t, nil, func(c net.Conn) { io.WriteString(c, "220 s3cr3t ESMTP\r\n"); stalls(c) })
			return fault{url: "ws://" + h.Addr().String(), want: "not a WebSocket server", phase: transport.PhaseUpgrade}
		},
		"a web page": func(t *testing.T) fault {
			url := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>s3cr3t") })
			return fault{url: url, want: "answered 200 OK instead of opening a WebSocket: check the path", phase: transport.PhaseUpgrade, status: 200, permanent: true}
		},
		"redirect": func(t *testing.T) fault {
			url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://other.example/?s3cr3t", http.StatusFound)
			})
			return fault{url: url, want: "pointing to https://other.example: redirects are refused", phase: transport.PhaseUpgrade, status: 302, permanent: true}
		},
		"401": statusFault(401, "wants other credentials", true),
		"403": statusFault(403, "refuses the origin", true),
		"404": statusFault(404, "check the path", true),
		"429": statusFault(429, "try again later", false),
		"503": statusFault(503, "try again later", false),
		"plain HTTP to a TLS port": func(t *testing.T) fault {
			url := tlsHop(t, nil)
			return fault{url: "ws" + strings.TrimPrefix(url, "wss"), want: "whether the URL should start with wss://", phase: transport.PhaseUpgrade, status: 400, permanent: true}
		},
	} {
		leavesNothing(t, name, func(t *testing.T) { start(t).check(t) })
	}
}

func statusFault(status int, want string, permanent bool) func(t *testing.T) fault {
	return func(t *testing.T) fault {
		url := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3")
			http.Error(w, "s3cr3t", status)
		})
		return fault{url: url, want: want, phase: transport.PhaseUpgrade, status: status, permanent: permanent}
	}
}

// resetting reads a little and resets the connection.
func resetting(c net.Conn) {
	c.Read(make([]byte, 100))
	c.(keeping).Conn.(*net.TCPConn).SetLinger(0)
}

// fullBacklog returns an address where connections are neither taken nor refused:
// its queue is full, and the kernel drops what comes.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint("127.0.0.1:", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}

func TestFaultsOfTLS(t *testing.T) {
	wantEcho(t, dial(t, serve(t, nil, echo), nil))
	root := pki.Root()
	middle := pki.Issue("middle", root, pki.CA)
	other := pki.Root()
	good := pki.Issue("good", root)
	trust := func() *transport.TLSOptions { return &transport.TLSOptions{RootsPEM: root.PEM()} }
	serving := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	pin := func(i *pki.Certificate) [32]byte { return spki(i.Cert) }
	for name, c := range map[string]struct {
		server *tls.Config
		client *transport.TLSOptions
		want   string
	}{
		"expired":                {serving(pki.Issue("x", root, pki.Expired).Pair()), trust(), "has expired on 2021-02-03: renew it, and check this machine's clock"},
		"not yet":                {serving(pki.Issue("x", root, pki.NotYet).Pair()), trust(), "is not valid before " + time.Now().AddDate(1, 0, 0).UTC().Format(time.DateOnly)},
		"self-signed":            {serving(pki.Issue("x", nil).Pair()), trust(), "is self-signed"},
		"other root":             {serving(pki.Issue("x", other).Pair(other)), trust(), "an authority unknown here: add its root to TLS.RootsPEM"},
		"wrong host":             {serving(pki.Issue("x", root, pki.Named("other.example")).Pair()), trust(), "is for another name"},
		"missing intermediate":   {serving(pki.Issue("x", middle).Pair()), trust(), "leaves out the intermediate certificate"},
		"expired intermediate":   {serving(pki.Issue("x", pki.Issue("old", root, pki.CA, pki.Expired)).Pair()), nil, "authority unknown here"},
		"wrong pin":              {serving(good.Pair()), &transport.TLSOptions{RootsPEM: root.PEM(), Pins: [][32]byte{pin(other), pin(middle)}}, "none of the pinned keys"},
		"TLS 1.0":                {&tls.Config{Certificates: []tls.Certificate{good.Pair()}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, trust(), "no TLS as new as 1.2"},
		"TLS 1.1":                {&tls.Config{Certificates: []tls.Certificate{good.Pair()}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, trust(), "no TLS as new as 1.2"},
		"no common suite":        {&tls.Config{Certificates: []tls.Certificate{good.Pair()}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, trust(), "no cipher suite, key exchange or signature in common"},
		"no common key exchange": {&tls.Config{Certificates: []tls.Certificate{good.Pair()}, CurvePreferences: []tls.CurveID{tls.CurveP521}}, &transport.TLSOptions{RootsPEM: root.PEM(), Base: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}}, "no cipher suite, key exchange or signature in common"},
		"no such name": {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}, nil
		}}, trust(), "no certificate for this name"},
		"server fails": {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("s3cr3t") }}, trust(), "the server failed in the TLS handshake"},
	} {
		leavesNothing(t, name, func(t *testing.T) {
			f := fault{url: tlsHop(t, c.server), opts: transport.DialOptions{TLS: c.client}, want: c.want, phase: transport.PhaseTLS, permanent: name != "server fails"}
			if name == "wrong pin" {
				f.cause = transport.ErrPin
			}
			e := f.check(t)
			var cert *tls.CertificateVerificationError
			if named := strings.Contains(c.want, "certificate") || strings.Contains(c.want, "valid"); named && name == "expired" && !errors.As(e, &cert) {
				t.Errorf("%v does not hand on the cause", e)
			}
		})
	}
	leavesNothing(t, "not TLS", func(t *testing.T) {
		url := serveHTTP(t, http.NotFound)
		fault{url: "wss" + strings.TrimPrefix(url, "ws"), want: "does not speak TLS on this port", phase: transport.PhaseTLS, permanent: true}.check(t)
	})
	leavesNothing(t, "old ServerHello", func(t *testing.T) {
		// A server from before version negotiation: ServerHello of TLS 1.0.
		hello := "\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + strings.Repeat("r", 32) + "\x00\x00\x2f\x00"
		h := startHop(t, nil, func(c net.Conn) {
			c.Read(make([]byte, 4096))
			io.WriteString(c, hello)
			io.Copy(io.Discard, c)
		})
		fault{url: "wss://" + h.Addr().String(), want: "no TLS as new as 1.2", phase: transport.PhaseTLS, permanent: true}.check(t)
	})
}

func TestFaultsOfClientCertificates(t *testing.T) {
	wantEcho(t, dial(t, serve(t, nil, echo), nil))
	root, other := pki.Root(), pki.Issue("other", nil, pki.CA)
	server := pki.Issue("server", root).Pair()
	pool := x509.NewCertPool()
	pool.AddCert(root.Cert)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conf := &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: version}
		blind := conf.Clone() // asks for any, and takes only those of root
		blind.ClientAuth, blind.ClientCAs = tls.RequireAnyClientCert, nil
		blind.VerifyConnection = func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		}
		phase := transport.PhaseTLS
		if version == tls.VersionTLS13 {
			phase = transport.PhaseUpgrade // the client has finished before the server has seen its certificate
		}
		for name, c := range map[string]struct {
			server *tls.Config
			own    []tls.Certificate
			want   string
		}{
			"missing":         {conf, nil, "the server wants a client certificate: set TLS.CertFile and TLS.KeyFile"},
			"wrong":           {conf, []tls.Certificate{pki.Issue("me", other).Pair()}, "the server wants a client certificate from another authority"},
			"wrong, and sent": {blind, []tls.Certificate{pki.Issue("me", other).Pair()}, "the server refuses the client certificate"},
			"expired":         {conf, []tls.Certificate{pki.Issue("me", root, pki.Expired).Pair()}, "the client certificate has expired"},
		} {
			leavesNothing(t, tls.VersionName(version)+" "+name, func(t *testing.T) {
				own := &transport.TLSOptions{RootsPEM: root.PEM(), Certificates: c.own}
				fault{url: tlsHop(t, c.server), opts: transport.DialOptions{TLS: own}, want: c.want, phase: phase, permanent: true}.check(t)
			})
		}
	}
}

// TestFaultsLater is for links that were open already.
func TestFaultsLater(t *testing.T) {
	wantEcho(t, dial(t, serve(t, nil, echo), nil))
	leavesNothing(t, "oversize frame", func(t *testing.T) {
		url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			socket, rw := upgradeByHand(t, w, r, "")
			defer socket.Close()
			rw.WriteString("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff") // 2^63-1 bytes follow
			rw.Write(make([]byte, transport.DefaultMaxMessage+1))
			rw.Flush()
			io.Copy(io.Discard, socket)
		})
		_, err := dial(t, url, nil).Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeTooLarge, false)
		if !errors.Is(err, transport.ErrTooLarge) {
			t.Errorf("%v does not match ErrTooLarge", err)
		}
	})
	leavesNothing(t, "half-open link", func(t *testing.T) {
		server := strings.TrimPrefix(serve(t, nil, echo), "ws://")
		dead := make(chan struct{})
		h := startHop(t, nil, func(c net.Conn) {
			up, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			defer up.Close()
			relayUntil(c, up, dead)
			io.Copy(io.Discard, c) // takes everything, answers nothing, as a path that died
		})
		conn := dial(t, "ws://"+h.Addr().String(), &transport.DialOptions{KeepAlive: 20 * time.Millisecond})
		wantEcho(t, conn)
		close(dead)
		_, err := conn.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeAbnormal, true)
		if !strings.Contains(err.Error(), "no answer to a ping") {
			t.Errorf("got %v", err)
		}
	})
	leavesNothing(t, "server killed", func(t *testing.T) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestServerToKill$")
		cmd.Env = append(os.Environ(), "TEST_SERVER_TO_KILL=yes")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		addr, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		url := "ws://" + strings.TrimSpace(addr)
		conn := dial(t, url, nil)
		wantEcho(t, conn)
		cmd.Process.Kill()
		cmd.Wait()
		_, err = conn.Read(t.Context(), nil)
		wantClosed(t, err, transport.CodeAbnormal, true)
		if errors.Is(err, io.EOF) {
			t.Errorf("%v passes for an orderly end", err)
		}
		fault{url: url, want: "is the server running", phase: transport.PhaseConnect, cause: syscall.ECONNREFUSED}.check(t)
	})
}

// relayUntil passes bytes on both ways until the path dies, without a word to
// either end.
func relayUntil(client, server net.Conn, dead <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, client)
	}()
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(client, server)
	}()
	<-dead
	client.SetReadDeadline(time.Unix(1, 0))
	server.SetReadDeadline(time.Unix(1, 0))
	<-done
	<-back
	client.SetReadDeadline(time.Time{})
}

// TestServerToKill is the process that TestFaultsLater kills.
func TestServerToKill(t *testing.T) {
	if os.Getenv("TEST_SERVER_TO_KILL") == "" {
		t.Skip("TestFaultsLater runs it")
	}
	url := serve(t, nil, echo)
	fmt.Println(strings.TrimPrefix(url, "ws://"))
	<-make(chan struct{})
}
