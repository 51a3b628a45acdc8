//go:build !js

package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/transport"
)

// A proxy counts what it is asked for, and connects everything to one address.
type proxy struct {
	to               string
	connects, others atomic.Int32
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		p.others.Add(1)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	p.connects.Add(1)
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(server, client); server.Close() }()
	io.Copy(client, server)
}

// TestA48Proxies runs the dials of TestInTheProxysReach in a process whose
// environment names a proxy: net/http looks there only once.
func TestA48Proxies(t *testing.T) {
	server, _ := tlsServer(t, echo)
	p := &proxy{to: strings.TrimPrefix(server, "wss://")}
	proxyAddr := strings.TrimPrefix(serveHTTP(t, p.ServeHTTP), "ws://")
	conn, err := tls.Dial("tcp", p.to, &tls.Config{InsecureSkipVerify: true}) // to learn its certificate
	if err != nil {
		t.Fatal(err)
	}
	root := conn.ConnectionState().PeerCertificates[0].Raw
	conn.Close()

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestInTheProxysReach$")
	cmd.Env = append(os.Environ(), "TEST_ROOT="+hex.EncodeToString(root), "NO_PROXY=unproxied.invalid", "no_proxy=",
		"HTTPS_PROXY=http://user:s3cr3t@"+proxyAddr, "HTTP_PROXY=http://user:s3cr3t@"+proxyAddr)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
	if p.connects.Load() != 2 || p.others.Load() != 0 {
		t.Errorf("the proxy saw %d CONNECT and %d other requests", p.connects.Load(), p.others.Load())
	}
}

func TestInTheProxysReach(t *testing.T) {
	der, _ := hex.DecodeString(os.Getenv("TEST_ROOT"))
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Skip("TestA48Proxies runs it")
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	conn := dial(t, "wss://example.com/", &transport.DialOptions{TLS: &transport.TLSOptions{Base: &tls.Config{RootCAs: roots}}})
	mustWrite(t, conn, "through the proxy")
	mustRead(t, conn)

	_, err = transport.Dial(context.Background(), "ws://hopseal.invalid/", &transport.DialOptions{Sealed: true})
	var failed *transport.DialError
	if !errors.As(err, &failed) || failed.Status != http.StatusBadRequest || failed.Phase != transport.PhaseUpgrade {
		t.Errorf("a ws dial through the proxy to a TLS server: %v", err)
	}
	_, err = transport.Dial(context.Background(), "ws://unproxied.invalid/", &transport.DialOptions{Sealed: true})
	if !errors.As(err, &failed) || failed.Phase != transport.PhaseResolve || failed.Proxy != "" {
		t.Errorf("a dial that NO_PROXY lists: %v", err)
	}
}

func TestA48AProxysPasswordIsNotShown(t *testing.T) {
	if os.Getenv("TEST_BROKEN_PROXY") == "" {
		for _, broken := range []string{"http://user:s3cr3t@" + freeport.Address(t), "http://user:s3cr3t@[broken", "gopher://user:s3cr3t@x"} {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestA48AProxysPasswordIsNotShown$")
			cmd.Env = append(os.Environ(), "TEST_BROKEN_PROXY=yes", "NO_PROXY=", "no_proxy=", "HTTPS_PROXY="+broken)
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "s3cr3t") {
				t.Errorf("%v\n%s", err, out)
			}
		}
		return
	}
	t.Log(dialError(t, "wss://hopseal.invalid/?s3cr3t", nil))
}
