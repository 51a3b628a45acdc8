//go:build !js

package transport_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// A notebook is what was logged.
type notebook struct {
	mu    sync.Mutex
	out   bytes.Buffer
	lines chan struct{} // has one for each line
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines <- struct{}{}
	return n.out.Write(b)
}

func (n *notebook) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.String()
}

// logs has slog.Default lead to a notebook until the test ends.
func logs(t *testing.T) *notebook {
	t.Helper()
	n, before, flags := &notebook{lines: make(chan struct{}, 100)}, slog.Default(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(n, nil)))
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // SetDefault has led package log to the handler
		log.SetFlags(flags)
	})
	return n
}

// Whom a Gate refuses is logged where nobody listens, once for each outcome, and whom it takes
// is not.
func TestAGateIsNotSilentByDefault(t *testing.T) {
	n := logs(t)
	gate := transport.NewGate(&transport.GateOptions{DrainLead: -1, DrainSpread: -1})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, &transport.AcceptOptions{Gate: gate, Sealed: true}); err == nil {
			conn.Close(transport.CodeNormal, "")
		}
	}))
	defer web.Close()
	get := func() {
		answer, err := http.Get(web.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	for range 3 {
		get()
	}
	<-n.lines
	if conn, err := transport.Dial(t.Context(), web.URL, &transport.DialOptions{Policy: transport.Development}); err == nil {
		conn.Read(t.Context(), nil)
		conn.Close(transport.CodeNormal, "")
	}
	gate.Drain(context.Background())
	for range 2 {
		get()
	}
	got := n.text()
	for ; !strings.Contains(got, "draining"); got = n.text() {
		<-n.lines
	}
	for _, want := range []string{
		`level=INFO msg="connection refused" client=127.0.0.1 outcome=handshake status=426 count=1` + "\n",
		`level=INFO msg="connection refused" client=127.0.0.1 outcome=draining status=503 count=1` + "\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("lacks %s\n%s", want, got)
		}
	}
	if strings.Count(got, "connection ") != 2 {
		t.Errorf("logged\n%s", got)
	}
}

// Whoever comes past the load balancer, or has no header, is cut, which is logged once.
func TestAProxyListenerIsNotSilentByDefault(t *testing.T) {
	n := logs(t)
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := transport.ListenProxy(bare, transport.ProxyProtocol{Hops: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go l.Accept()
	for range 3 {
		conn, err := net.Dial("tcp", bare.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	<-n.lines
	if got := n.text(); strings.Count(got, `level=WARN msg="connection refused" error="transport: PROXY protocol: 127.0.0.1:`) != 1 || strings.Count(got, "\n") != 1 {
		t.Errorf("logged\n%s", got)
	}
}
