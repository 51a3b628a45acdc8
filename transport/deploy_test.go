//go:build unix

package transport_test

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/internal/fronts"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
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
	mux.Handle("/socket/diagnose", diagnose.Handler(opts))
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

// authorityOf returns what a client needs that trusts the authority of a certificate.
func authorityOf(cert *fronts.Cert) *transport.TLSOptions {
	return &transport.TLSOptions{RootsPEM: cert.RootPEM}
}

// TestFrontsThatEndTLS runs the configurations of docs/deploy.md that terminate TLS,
// with a service that wants to hear of https.
func TestFrontsThatEndTLS(t *testing.T) {
	cert := fronts.NewCert()
	for _, kind := range []*fronts.Kind{fronts.Nginx, fronts.HAProxy} {
		t.Run(kind.Name, func(t *testing.T) {
			service := startBackend(t, &transport.AcceptOptions{RequireTLS: true, TrustedHops: onThisMachine})
			front := fronts.Start(t, kind, fronts.Setup{Services: []string{service}, Cert: cert})
			url, _ := front.Dial(service)
			testFront(t, url, authorityOf(cert))
			if logs := front.Logs(); strings.Contains(logs, "s3cr3t") || !strings.Contains(logs, "/socket") {
				t.Errorf("%s wrote:\n%s", kind.Name, logs)
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
	r := diagnose.Run(t.Context(), url+"/diagnose", &diagnose.Options{Dial: &transport.DialOptions{TLS: trust}})
	if steps(r) != fullWay || r.HopTLS != diagnose.HopTLSReTerminated {
		t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
	}
}

// TestTheWholeWay goes through a CONNECT proxy with a password and nginx, which
// terminates TLS, to a service, with wss and with ws. The diagnosis names every hop, and
// what the proxy reads holds no credential of the service.
func TestTheWholeWay(t *testing.T) {
	cert := fronts.NewCert()
	trust := authorityOf(cert)
	service := startBackend(t, &transport.AcceptOptions{Sealed: true, TrustedHops: onThisMachine})
	plain := freeport.Address(t)
	secure := fronts.Start(t, fronts.Nginx, fronts.Setup{Services: []string{service}, Cert: cert, Plain: plain}).Addr
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
			r := diagnose.Run(t.Context(), url+"/diagnose", &diagnose.Options{Dial: opts})
			wantHops(t, r, scheme, "proxy http://"+proxy.Addr().String(), strings.Replace(nginx, "127.0.0.1", "localhost", 1))
			if saw := proxy.saw(); strings.Contains(saw, "s3cr3t") || !strings.Contains(saw, basicAuth("user:pr0xy")) {
				t.Errorf("the proxy read %q", saw)
			}
			wrong := *opts
			wrong.Proxy = via("http://user:wrong@" + proxy.Addr().String())
			r = diagnose.Run(t.Context(), url, &diagnose.Options{Dial: &wrong})
			if steps(r) != "name passed, tcp passed, proxy failed" {
				t.Errorf("with a wrong password:\n%s", r)
			}
		})
	}
}

// wantHops checks which hop each step is about.
func wantHops(t *testing.T, r *diagnose.Report, scheme, proxy, server string) {
	t.Helper()
	want := map[string]string{"name": proxy, "tcp": proxy, "proxy": proxy, "tls": server, "upgrade": server}
	verdict := diagnose.HopTLSReTerminated
	if scheme == "ws" {
		delete(want, "tls")
		verdict = diagnose.HopTLSNone
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
	cert := fronts.NewCert()
	trust := authorityOf(cert)
	for _, kind := range []*fronts.Kind{fronts.NginxL4, fronts.HAProxyL4} {
		t.Run(kind.Name, func(t *testing.T) {
			front := fronts.Start(t, kind, fronts.Setup{Services: []string{listenBehindL4(t, cert.Pair)}})
			address := front.Addr
			base := "wss://" + strings.Replace(address, "127.0.0.1", "localhost", 1)
			conn := dial(t, base+"/socket", &transport.DialOptions{TLS: trust, BearerToken: "s3cr3t"})
			if info := told(t, conn); info.Kind != "wss" || info.TLS == nil || info.TLS.ServerName != "localhost" || info.Client != "127.0.0.1" || info.Remote == info.Local {
				t.Errorf("the service sees %+v", info)
			}
			wantEcho(t, conn)
			r := diagnose.Run(t.Context(), base+"/socket/diagnose", &diagnose.Options{Dial: &transport.DialOptions{TLS: trust}})
			if steps(r) != fullWay || r.HopTLS != diagnose.HopTLSUnbroken {
				t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
			}
			if e := dialError(t, "wss://"+address+"/socket", &transport.DialOptions{TLS: &transport.TLSOptions{Base: &tls.Config{ServerName: "other.example"}}}); e.Phase != transport.PhaseTLS {
				t.Errorf("another name: %v", e)
			}
			if logs := front.Logs(); strings.Contains(logs, "s3cr3t") {
				t.Errorf("%s wrote:\n%s", kind.Name, logs)
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
