//go:build !js

package transport_test

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A backend is a service behind a front. It tells each client first what it knows of
// it, and then echoes.
func startBackend(t *testing.T, opts *transport.AcceptOptions) (address string) {
	t.Helper()
	server := httptest.NewServer(backend(opts))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func backend(opts *transport.AcceptOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/socket/diagnose", transport.DiagnoseHandler(opts))
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, opts)
		if err != nil {
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		told, err := json.Marshal(conn.Info())
		if err == nil && conn.Write(r.Context(), told) == nil {
			echo(conn)
		}
	})
	return mux
}

// told reads what the backend tells of a client.
func told(t *testing.T, conn transport.Conn) (info transport.Info) {
	t.Helper()
	msg, err := conn.Read(t.Context(), nil)
	if err == nil {
		err = json.Unmarshal(msg, &info)
	}
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// onThisMachine trusts fronts on loopback.
var onThisMachine = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// certificateFiles writes a certificate for localhost, its key, and both in one file,
// and returns the root to trust.
func certificateFiles(t *testing.T) (cert, key, both string, trust *transport.TLSOptions) {
	t.Helper()
	root := newRoot(t)
	leaf := sign(t, "front", root, named("localhost"))
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certText, keyText := pemOf(leaf.cert), keyPEM(t, leaf.key)
	return write("cert.pem", certText), write("key.pem", keyText), write("both.pem", append(certText, keyText...)),
		&transport.TLSOptions{RootsPEM: pemOf(root.cert)}
}

// TestFrontsThatEndTLS runs the configurations of docs/deploy.md that terminate TLS,
// with a service that wants to hear of https.
func TestFrontsThatEndTLS(t *testing.T) {
	cert, key, both, trust := certificateFiles(t)
	for name, start := range map[string]func(t *testing.T, address, service string) front{
		"nginx": func(t *testing.T, address, service string) front {
			return startNginx(t, address, configuration(t, "nginx, terminating TLS", map[string]string{
				"listen 443 ssl": "listen " + address + " ssl",
				"127.0.0.1:8080": service,
				"/etc/letsencrypt/live/app.example.com/fullchain.pem": cert,
				"/etc/letsencrypt/live/app.example.com/privkey.pem":   key,
			}))
		},
		"HAProxy": func(t *testing.T, address, service string) front {
			return startHAProxy(t, address, configuration(t, "HAProxy, terminating TLS", map[string]string{
				"bind :443":                  "bind " + address,
				"127.0.0.1:8080":             service,
				"/etc/haproxy/certs/app.pem": both,
				"/readyz":                    "/readyz",
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := strings.Replace(freePort(t), "127.0.0.1", "localhost", 1)
			service := startBackend(t, &transport.AcceptOptions{RequireTLS: true, TrustedHops: onThisMachine})
			front := start(t, strings.Replace(address, "localhost", "127.0.0.1", 1), service)
			testFront(t, "wss://"+address+"/socket", trust)
			if logs := front.logs(t); strings.Contains(logs, "s3cr3t") || !strings.Contains(logs, "/socket") {
				t.Errorf("%s wrote:\n%s", name, logs)
			}
		})
	}
}

// testFront uses a front as a page does that has credentials, and lies about where it
// comes from.
func testFront(t *testing.T, url string, trust *transport.TLSOptions) {
	origin := "https" + strings.TrimSuffix(strings.TrimPrefix(url, "wss"), "/socket")
	opts := func(origin string) *transport.DialOptions {
		return &transport.DialOptions{TLS: trust, BearerToken: "s3cr3t-token", Subprotocols: []string{"s3cr3t-subprotocol"}, Header: http.Header{
			"Cookie": {"id=s3cr3t-cookie"}, "Origin": {origin},
			"X-Forwarded-For": {"198.51.100.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"evil.example"}, "Forwarded": {"for=198.51.100.9;proto=http"},
		}}
	}
	conn := dial(t, url+"?token=s3cr3t-query", opts(origin))
	info := told(t, conn)
	if info.Kind != "wss" || info.TLS != nil || info.Client != "127.0.0.1" || info.Origin != origin {
		t.Errorf("the service sees %+v", info)
	}
	wantEcho(t, conn)
	if e := dialError(t, url, opts("https://evil.example")); e.Status != http.StatusForbidden {
		t.Errorf("a foreign page: %v", e)
	}
	r := transport.Diagnose(t.Context(), url+"/diagnose", &transport.DiagnoseOptions{Dial: &transport.DialOptions{TLS: trust}})
	if steps(r) != fullWay || r.HopTLS != transport.HopTLSReTerminated {
		t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
	}
}

// TestTheWholeWay goes through a CONNECT proxy with a password and nginx, which
// terminates TLS, to a service, with wss and with ws. The diagnosis names every hop, and
// what the proxy reads holds no credential of the service.
func TestTheWholeWay(t *testing.T) {
	cert, key, _, trust := certificateFiles(t)
	service := startBackend(t, &transport.AcceptOptions{Sealed: true, TrustedHops: onThisMachine})
	secure, plain := freePort(t), freePort(t)
	startNginx(t, secure, configuration(t, "nginx, terminating TLS", map[string]string{
		"listen 443 ssl http2;": "listen " + secure + " ssl http2; listen " + plain + ";",
		"127.0.0.1:8080":        service,
		"/etc/letsencrypt/live/app.example.com/fullchain.pem": cert,
		"/etc/letsencrypt/live/app.example.com/privkey.pem":   key,
	}))
	for scheme, nginx := range map[string]string{"wss": secure, "ws": plain} {
		t.Run(scheme, func(t *testing.T) {
			proxy := startHop(t, nil, connectProxy(nginx, basicAuth("user:pr0xy")))
			url := scheme + "://" + strings.Replace(nginx, "127.0.0.1", "localhost", 1) + "/socket"
			opts := &transport.DialOptions{TLS: trust, Sealed: true, Proxy: via("http://user:pr0xy@" + proxy.Addr().String())}
			if scheme == "wss" { // over ws they are refused
				opts.BearerToken, opts.Header = "s3cr3t", http.Header{"Cookie": {"id=s3cr3t"}}
			}
			conn, err := transport.Dial(t.Context(), url, opts)
			if err != nil {
				t.Fatal(err)
			}
			if info := told(t, conn); info.Kind != scheme || info.Client != "127.0.0.1" {
				t.Errorf("the service sees %+v", info)
			}
			wantEcho(t, conn)
			if info := conn.Info(); info.Proxy != "http://"+proxy.Addr().String() {
				t.Errorf("the link is %+v", info)
			}
			conn.Close(transport.CodeNormal, "")
			r := transport.Diagnose(t.Context(), url+"/diagnose", &transport.DiagnoseOptions{Dial: opts})
			wantHops(t, r, scheme, "proxy http://"+proxy.Addr().String(), strings.Replace(nginx, "127.0.0.1", "localhost", 1))
			if saw := proxy.saw(); strings.Contains(saw, "s3cr3t") || !strings.Contains(saw, basicAuth("user:pr0xy")) {
				t.Errorf("the proxy read %q", saw)
			}
			wrong := *opts
			wrong.Proxy = via("http://user:wrong@" + proxy.Addr().String())
			r = transport.Diagnose(t.Context(), url, &transport.DiagnoseOptions{Dial: &wrong})
			if steps(r) != "name passed, tcp passed, proxy failed" {
				t.Errorf("with a wrong password:\n%s", r)
			}
		})
	}
}

// wantHops checks which hop each step is about.
func wantHops(t *testing.T, r *transport.Report, scheme, proxy, server string) {
	t.Helper()
	want := map[string]string{"name": proxy, "tcp": proxy, "proxy": proxy, "tls": server, "upgrade": server}
	verdict := transport.HopTLSReTerminated
	if scheme == "ws" {
		delete(want, "tls")
		verdict = transport.HopTLSNone
	}
	for _, f := range r.Findings {
		if hop, ok := want[f.Step]; ok && f.Hop != hop {
			t.Errorf("step %s is about %q, want %q", f.Step, f.Hop, hop)
		}
		delete(want, f.Step)
	}
	if len(want) != 0 || !r.OK() || r.HopTLS != verdict {
		t.Errorf("without %v, TLS %s:\n%s", want, r.HopTLS, r)
	}
}

// TestFrontsThatPassTLSThrough runs the configurations of docs/deploy.md that read the
// server's name only. The service learns the client's address by a PROXY header, and
// one TLS connection reaches it from end to end.
func TestFrontsThatPassTLSThrough(t *testing.T) {
	cert, key, _, trust := certificateFiles(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]func(t *testing.T, address, service string) front{
		"nginx": func(t *testing.T, address, service string) front {
			return startNginx(t, address, configuration(t, "nginx, passing TLS through (L4)", map[string]string{
				"listen 443": "listen " + address, "127.0.0.1:8443": service, "app.example.com": "localhost",
			}))
		},
		"HAProxy": func(t *testing.T, address, service string) front {
			return startHAProxy(t, address, configuration(t, "HAProxy, passing TLS through (L4)", map[string]string{
				"bind :443": "bind " + address, "127.0.0.1:8443": service, "app.example.com": "localhost",
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			service := listenBehindL4(t, pair)
			address := freePort(t)
			front := start(t, address, service)
			base := "wss://" + strings.Replace(address, "127.0.0.1", "localhost", 1)
			conn := dial(t, base+"/socket", &transport.DialOptions{TLS: trust, BearerToken: "s3cr3t"})
			if info := told(t, conn); info.Kind != "wss" || info.TLS == nil || info.TLS.ServerName != "localhost" || info.Client != "127.0.0.1" || info.Remote == info.Local {
				t.Errorf("the service sees %+v", info)
			}
			wantEcho(t, conn)
			r := transport.Diagnose(t.Context(), base+"/socket/diagnose", &transport.DiagnoseOptions{Dial: &transport.DialOptions{TLS: trust}})
			if steps(r) != fullWay || r.HopTLS != transport.HopTLSUnbroken {
				t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
			}
			if e := dialError(t, "wss://"+address+"/socket", &transport.DialOptions{TLS: &transport.TLSOptions{Base: &tls.Config{ServerName: "other.example"}}}); e.Phase != transport.PhaseTLS {
				t.Errorf("another name: %v", e)
			}
			if logs := front.logs(t); strings.Contains(logs, "s3cr3t") {
				t.Errorf("%s wrote:\n%s", name, logs)
			}
		})
	}
}

func listenBehindL4(t *testing.T, pair tls.Certificate) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxied, err := transport.ListenProxy(l, transport.ProxyProtocol{Hops: onThisMachine})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: backend(nil), ErrorLog: quiet(), ReadHeaderTimeout: time.Second}
	served := make(chan error)
	go func() {
		served <- server.Serve(tls.NewListener(proxied, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}))
	}()
	t.Cleanup(func() { server.Close(); <-served })
	return l.Addr().String()
}
