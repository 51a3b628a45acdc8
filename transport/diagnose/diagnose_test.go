//go:build !js

package diagnose_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
)

// wellKept is a server with a chain that root verifies.
func wellKept(t *testing.T, handler http.Handler) (server *httptest.Server, root *pki.Certificate) {
	t.Helper()
	root = pki.Root()
	return withChain(t, handler, pki.Issue("service", root).Pair()), root
}

func withChain(t *testing.T, handler http.Handler, pair tls.Certificate) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func trusting(root *pki.Certificate) *diagnose.Options {
	return &diagnose.Options{Dial: &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM()}}}
}

// steps returns "name passed, tcp passed, …", in order.
func steps(r *diagnose.Report) string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.Step+" "+string(f.Result))
	}
	return strings.Join(all, ", ")
}

const fullWay = "name passed, tcp passed, tls passed, upgrade passed, echo passed, keep-alive passed"

func TestDiagnoseTheWholeWay(t *testing.T) {
	server, root := wellKept(t, diagnose.Handler(nil))
	opts := trusting(root)
	opts.Idle = time.Millisecond
	r := diagnose.Run(t.Context(), server.URL, opts)
	if !r.OK() || steps(r) != fullWay+", idle passed" || r.HopTLS != diagnose.HopTLSUnbroken {
		t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
	}
	for _, want := range []string{"TLS 1.3", "CN=service", "issued by CN=root", "the server sees 127.0.0.1, over TLS 1.3", "65536 bytes came back", "unbroken"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, r)
		}
	}
}

// TestDiagnoseSeesWhoEndsTLS puts a proxy in front of the server. The proxy terminates TLS
// and connects to the server in cleartext or with a TLS connection of its own.
func TestDiagnoseSeesWhoEndsTLS(t *testing.T) {
	trusted := &transport.AcceptOptions{TrustedHops: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	clear := httptest.NewServer(diagnose.Handler(trusted))
	t.Cleanup(clear.Close)
	secret, root := wellKept(t, diagnose.Handler(trusted))
	for _, service := range []string{clear.URL, secret.URL} {
		to, _ := url.Parse(service)
		front := httputil.NewSingleHostReverseProxy(to)
		transportTo := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		front.Transport = transportTo
		server := withChain(t, front, pki.Issue("front", root).Pair())
		r := diagnose.Run(t.Context(), server.URL, trusting(root))
		if steps(r) != fullWay || r.HopTLS != diagnose.HopTLSReTerminated {
			t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
		}
		transportTo.CloseIdleConnections()
	}
}

func TestDiagnoseNamesTheStepThatFails(t *testing.T) {
	root := pki.Root()
	middle := pki.Issue("middle", root, pki.CA)
	incomplete := pki.Issue("service", middle, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.example/middle.crt"} })
	handler := diagnose.Handler(nil)
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) })
	}
	for name, c := range map[string]struct{ url, steps, says string }{
		"scheme":     {"ftp://service.example", "url failed", "must start with wss://"},
		"unknown":    {"wss://service.invalid", "name failed", "no host of that name"},
		"refused":    {"wss://" + closedPort(t), "name passed, tcp failed", "nothing listens there"},
		"no TLS":     {strings.Replace(httpServer(t, handler), "http:", "https:", 1), "name passed, tcp passed, tls failed", "does not speak TLS"},
		"expired":    {withChain(t, handler, pki.Issue("s", root, pki.Expired).Pair()).URL, "name passed, tcp passed, tls failed", "valid 2020-01-01 to 2021-02-03"},
		"early":      {withChain(t, handler, pki.Issue("s", root, pki.NotYet).Pair()).URL, "name passed, tcp passed, tls failed", "is not valid before"},
		"stranger":   {withChain(t, handler, pki.Issue("s", pki.Root()).Pair()).URL, "name passed, tcp passed, tls failed", "issued by CN=root"},
		"other name": {withChain(t, handler, pki.Issue("s", root, pki.Named("other.example")).Pair()).URL, "name passed, tcp passed, tls failed", `for ["other.example"]`},
		"incomplete": {withChain(t, handler, incomplete.Pair()).URL, "name passed, tcp passed, tls failed", "http://ca.example/middle.crt"},
		"not found":  {withChain(t, status(404), pki.Issue("s", root).Pair()).URL, "name passed, tcp passed, tls passed, upgrade failed", "the server answered 404 Not Found"},
		"forbidden":  {withChain(t, status(403), pki.Issue("s", root).Pair()).URL, "name passed, tcp passed, tls passed, upgrade failed", "403 Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			r := diagnose.Run(t.Context(), c.url, trusting(root))
			if steps(r) != c.steps || r.OK() || !strings.Contains(r.String(), c.says) {
				t.Errorf("want %s, saying %q; got %s:\n%s", c.steps, c.says, steps(r), r)
			}
		})
	}
}

func httpServer(t *testing.T, handler http.Handler) string {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDiagnoseAServerThatDoesNotKnowIt(t *testing.T) {
	server, root := wellKept(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, nil); err == nil {
			echo(conn)
		}
	}))
	r := diagnose.Run(t.Context(), server.URL, trusting(root))
	if !r.OK() || !strings.Contains(steps(r), "upgrade passed, echo skipped, keep-alive passed") || r.HopTLS != diagnose.HopTLSUnknown {
		t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
	}
}

func TestDiagnoseWarnsOfTheEndOfACertificate(t *testing.T) {
	root := pki.Root()
	ending := pki.Issue("s", root, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(0, -3, 0), time.Now().Add(73*time.Hour)
	})
	r := diagnose.Run(t.Context(), withChain(t, diagnose.Handler(nil), ending.Pair()).URL, trusting(root))
	if !r.OK() || !strings.Contains(steps(r), "tls warned") || !strings.Contains(r.String(), "certificate 1 ends in 3 days") {
		t.Errorf("%s:\n%s", steps(r), r)
	}
	short := pki.Issue("s", root, func(c *x509.Certificate) { // of six days, renewed on the third
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(4*24*time.Hour)
	})
	r = diagnose.Run(t.Context(), withChain(t, diagnose.Handler(nil), short.Pair()).URL, trusting(root))
	if !strings.Contains(steps(r), "tls passed") {
		t.Errorf("%s:\n%s", steps(r), r)
	}
	r = diagnose.Run(t.Context(), withChain(t, diagnose.Handler(nil), pki.Issue("s", root, pki.Expired).Pair()).URL,
		&diagnose.Options{Dial: &transport.DialOptions{TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true}}})
	if !r.OK() || !strings.Contains(r.String(), "certificate 1 has ended on 2021-02-03") {
		t.Errorf("%s:\n%s", steps(r), r)
	}
}

// liar answers a diagnosis with what the test says.
func liar(t *testing.T, answer func(context.Context, *websocket.Conn)) string {
	t.Helper()
	return httpServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"hopseal.diagnose.1"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		answer(r.Context(), conn)
	}))
}

func sendThen(msg string, change func([]byte) []byte) func(context.Context, *websocket.Conn) {
	return func(ctx context.Context, conn *websocket.Conn) {
		err := conn.Write(ctx, websocket.MessageBinary, []byte(msg))
		for err == nil {
			var got []byte
			if _, got, err = conn.Read(ctx); err == nil {
				err = conn.Write(ctx, websocket.MessageBinary, change(got))
			}
		}
	}
}

func TestDiagnoseAHostileServer(t *testing.T) {
	same := func(b []byte) []byte { return b }
	now := time.Now().UnixMilli()
	good := fmt.Sprintf(`{"client":"127.0.0.1","time":%d}`, now)
	for name, c := range map[string]struct {
		answer     func(context.Context, *websocket.Conn)
		echo, says string
	}{
		"garbage":      {sendThen("\x00\x1b[31m", same), "echo failed", "says that it answers diagnoses, and does not"},
		"empty":        {sendThen("", same), "echo failed", "and does not"},
		"more":         {sendThen(good+"{}", same), "echo failed", "and does not"},
		"more ends":    {sendThen(good+"}", same), "echo failed", "and does not"},
		"other fields": {sendThen(`{"client":"","time":0,"password":"x"}`, same), "echo failed", "and does not"},
		"huge":         {sendThen(good+strings.Repeat(" ", 5000), same), "echo failed", "and does not"},
		"terminal":     {sendThen(fmt.Sprintf(`{"client":"\u001b[31m\u202e","time":%d}`, now), same), "echo passed", `\x1b[31m`},
		"clock":        {sendThen(fmt.Sprintf(`{"client":"","time":%d}`, now-3600_000), same), "echo warned", "clock differs from this one by -1h0m"},
		"end of time":  {sendThen(`{"client":"","time":-9223372036854775808}`, same), "echo warned", "clock differs"},
		"changed":      {sendThen(good, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "echo failed", "1 bytes came back changed"},
		"short":        {sendThen(good, func(b []byte) []byte { return b[:min(len(b), 60000)] }), "echo failed", "65536 bytes came back changed"},
		"gone":         {func(context.Context, *websocket.Conn) {}, "echo failed", "broke"},
	} {
		t.Run(name, func(t *testing.T) {
			r := diagnose.Run(t.Context(), liar(t, c.answer), nil)
			if !strings.Contains(steps(r), c.echo) || !strings.Contains(r.String(), c.says) || strings.ContainsAny(r.String(), "\x1b\u202e") {
				t.Errorf("want %s, saying %q; got %s:\n%q", c.echo, c.says, steps(r), r)
			}
		})
	}
}

// TestDiagnoseAHopThatForgets cuts the connection while it is silent.
func TestDiagnoseAHopThatForgets(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*websocket.Conn)
		want string
	}{
		"cut":    {func(conn *websocket.Conn) { conn.CloseNow() }, "idle failed"},
		"closed": {func(conn *websocket.Conn) { conn.Close(websocket.StatusNormalClosure, "") }, "idle warned"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httpServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var conn *websocket.Conn
				pinged := make(chan struct{})
				conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool { close(pinged); return true }})
				if err != nil {
					t.Error(err)
					return
				}
				go conn.Read(r.Context())
				<-pinged
				// Send the pong before the close: after the close, the client's next frame
				// would be its answer to that.
				conn.Ping(r.Context())
				c.end(conn)
			}))
			r := diagnose.Run(t.Context(), server, &diagnose.Options{Idle: time.Minute})
			if !strings.HasSuffix(steps(r), "keep-alive passed, "+c.want) {
				t.Errorf("%s:\n%s", steps(r), r)
			}
		})
	}
}

func TestDiagnoseAHopThatSwallowsPings(t *testing.T) {
	server := httpServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool { return false }})
		if err != nil {
			t.Error(err)
			return
		}
		conn.Read(r.Context())
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r := diagnose.Run(ctx, server, &diagnose.Options{Idle: time.Minute})
	if !strings.HasSuffix(steps(r), "keep-alive failed") || !strings.Contains(r.String(), "swallows control frames") {
		t.Errorf("%s:\n%s", steps(r), r)
	}
}

func TestDiagnoseThroughAProxy(t *testing.T) {
	server, root := wellKept(t, diagnose.Handler(nil))
	address := server.Listener.Addr().String()
	h := listen(t, connectProxy(address, "user:s3cr3t"))
	opts := trusting(root)
	opts.Dial.Proxy = via("http://user:s3cr3t@" + h)
	r := diagnose.Run(t.Context(), server.URL, opts)
	if steps(r) != "name passed, tcp passed, proxy passed, tls passed, upgrade passed, echo passed, keep-alive passed" || r.HopTLS != diagnose.HopTLSUnbroken {
		t.Errorf("%s, TLS %s:\n%s", steps(r), r.HopTLS, r)
	}
	opts.Dial.Proxy = via("http://user:wr0ng@" + h)
	r = diagnose.Run(t.Context(), server.URL, opts)
	if steps(r) != "name passed, tcp passed, proxy failed" || !strings.Contains(r.String(), "proxy http://"+h) {
		t.Errorf("%s:\n%s", steps(r), r)
	}
	for _, secret := range []string{"s3cr3t", "wr0ng"} {
		if strings.Contains(r.String(), secret) {
			t.Errorf("the report holds %q", secret)
		}
	}
}

// TestA48DiagnosesHoldNoCredential looks for planted secrets in reports of dials that
// succeed and that fail.
func TestA48DiagnosesHoldNoCredential(t *testing.T) {
	server, root := wellKept(t, diagnose.Handler(nil))
	refusing := withChain(t, http.NotFoundHandler(), pki.Issue("s", root).Pair())
	for _, base := range []string{server.URL, refusing.URL, "https://" + closedPort(t), "https://user:s3cr3t@host"} {
		opts := trusting(root)
		opts.Dial.BearerToken = "s3cr3t-token"
		opts.Dial.Header = http.Header{"Cookie": {"id=s3cr3t-cookie"}, "X-Key": {"s3cr3t-key"}}
		r := diagnose.Run(t.Context(), base+"/s3cr3t-path?token=s3cr3t-query", opts)
		asJSON, err := json.Marshal(r)
		if err != nil || strings.Contains(r.String()+string(asJSON), "s3cr3t") {
			t.Errorf("%v\n%s\n%s", err, r, asJSON)
		}
	}
}

// TestDiagnoseObeysItsContext dials a server that never answers.
func TestDiagnoseObeysItsContext(t *testing.T) {
	h := listen(t, func(c net.Conn) { c.Read(make([]byte, 1<<10)); c.Read(make([]byte, 1)) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := diagnose.Run(ctx, "ws://"+h, nil)
	if steps(r) != "name passed, tcp passed, upgrade failed" {
		t.Errorf("%s:\n%s", steps(r), r)
	}
}
