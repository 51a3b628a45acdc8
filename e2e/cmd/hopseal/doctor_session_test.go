//go:build !js

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
)

// A service is what the doctor makes sessions with.
type service struct {
	identity *keys.Identity
	url      string
	ends     chan error // of its sessions
}

func serveSessions(t *testing.T, change func(*e2e.ServerConfig)) *service {
	t.Helper()
	identity, err := keys.GenerateIdentity("billing")
	if err != nil {
		t.Fatal(err)
	}
	cfg := e2e.ServerConfig{Identity: identity, Verifier: trust.InsecureAnyone(), Protocol: "billing/2", Options: e2e.Options{Logger: slog.New(slog.DiscardHandler)}}
	if change != nil {
		change(&cfg)
	}
	s := &service{identity: identity, ends: make(chan error, 10)}
	srv, err := e2e.NewServer(cfg, func(ctx context.Context, session *e2e.Session) error {
		_, err := session.Receive(ctx)
		s.ends <- err
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() { srv.Shutdown(context.Background()); web.Close() })
	s.url = "ws" + strings.TrimPrefix(web.URL, "http")
	return s
}

// The doctor goes on into a session, and says which end does not have the other, and why.
func TestDoctorMakesASession(t *testing.T) {
	w := newWorld(t)
	me := w.store("alice")
	stranger := w.store("mallory")
	plain := serveSessions(t, nil)
	credentials := serveSessions(t, func(cfg *e2e.ServerConfig) {
		cfg.Authenticate = func(_ context.Context, _ e2e.Peer, c []byte) (e2e.Grant, error) {
			if string(c) != "s3cr3t" {
				return e2e.Grant{}, e2e.ErrCredentials
			}
			return e2e.Grant{}, nil
		}
	})
	busy := serveSessions(t, func(cfg *e2e.ServerConfig) {
		cfg.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
			return e2e.Grant{}, errors.New("database down")
		}
	})
	choosy := serveSessions(t, func(cfg *e2e.ServerConfig) {
		fingerprint, _ := keys.ParseFingerprint(stranger)
		cfg.Verifier = trust.Pinned(fingerprint)
	})
	signing := serveSessions(t, func(cfg *e2e.ServerConfig) { cfg.Proof = e2e.ProofEd25519 })
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Sealed: true})
		if err != nil {
			return
		}
		conn.Read(r.Context(), nil)
		conn.Close(transport.CodePolicy, "")
	}))
	defer other.Close()
	for name, test := range map[string]struct {
		to    *service
		args  []string
		env   string
		code  int
		wants []string
		lacks string
	}{
		"all is well": {plain, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "", 0,
			[]string{"passed  server", `the server is "billing" SERVER`, "passed  protocol", `both ends speak "billing/2"`, "passed  client", `this end is "alice" ` + me}, "failed"},
		"another server": {plain, []string{"-peer", stranger, "-protocol", "billing/2"}, "", 1,
			[]string{"failed  server", `the server is "billing" SERVER`, "problem    this end does not have the server: it has another fingerprint than -peer says", "do         compare with what 'hopseal key show' prints at the server: correct -peer"}, "protocol "},
		"nobody admitted": {plain, []string{"-protocol", "billing/2"}, "", 1,
			[]string{"failed  server", `the server is "billing" SERVER`, "problem    this end does not have the server: the store admits nobody at 127.0.0.1:"}, "client "},
		"another protocol": {plain, []string{"-peer", "SERVER", "-protocol", "billing/3"}, "", 1,
			[]string{"passed  server", "failed  protocol", `problem    neither end has the other: the server speaks "billing/2", and -protocol says "billing/3"`}, "client "},
		"the server signs": {signing, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "", 1,
			[]string{"failed  protocol", "problem    neither end has the other: the server signs messages", "do         give -proof"}, "client "},
		"both sign":        {signing, []string{"-peer", "SERVER", "-protocol", "billing/2", "-proof"}, "", 0, []string{"passed  client"}, "failed"},
		"only we sign":     {plain, []string{"-peer", "SERVER", "-protocol", "billing/2", "-proof"}, "", 1, []string{"failed  protocol", "does not sign messages as -proof does"}, "client "},
		"a foreign client": {choosy, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "", 1, []string{"passed  server", "passed  protocol", "failed  client", `this end is "alice" ` + me, "the server does not have this end: it does not accept this identity", "ask its operator to admit the fingerprint above"}, "or the credentials"},
		"no credentials":   {credentials, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "", 1, []string{"failed  client", "where it wants credentials, which go into HOPSEAL_CREDENTIALS"}, ""},
		"bad credentials":  {credentials, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "bad", 1, []string{"failed  client", "or the credentials in HOPSEAL_CREDENTIALS"}, ""},
		"good credentials": {credentials, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "s3cr3t", 0, []string{"passed  client"}, "failed"},
		"it cannot check":  {busy, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "", 1, []string{"failed  client", "the server does not have this end now: it has no room", "do         try again later"}, ""},
		"no server of e2e": {&service{identity: plain.identity, url: other.URL}, []string{"-peer", "SERVER", "-protocol", "billing/2"}, "", 1,
			[]string{"failed  server", "the other end closed the connection", "do         see whether this path is served by package e2e"}, "protocol "},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.files()
			fingerprint := test.to.identity.Fingerprint().String()
			args := []string{"doctor", "-proxy", "direct", "-store", "alice.store", test.to.url + "/path?s3cr3t"}
			for _, a := range test.args {
				args = append(args, strings.ReplaceAll(a, "SERVER", fingerprint))
			}
			delete(w.env, envCredentials)
			if test.env != "" {
				w.env[envCredentials] = test.env
			}
			out, errs, code := w.run(args...)
			for _, want := range test.wants {
				if !strings.Contains(out, strings.ReplaceAll(want, "SERVER", fingerprint)) {
					t.Errorf("lacks %s\n%s%s", want, out, errs)
				}
			}
			if code != test.code || (code == 0) != (errs == "") || test.lacks != "" && strings.Contains(out, test.lacks) || strings.Contains(out+errs, "s3cr3t") {
				t.Errorf("code %d, want %d, without %q\n%s%s", code, test.code, test.lacks, out, errs)
			}
			if test.code != 0 && errs != "hopseal: there is no session with the server: see the step that failed\n" {
				t.Errorf("it says %s", errs)
			}
			if !maps.Equal(before, w.files()) {
				t.Error("the store was changed")
			}
			if test.code == 0 {
				if err := <-test.to.ends; !errors.Is(err, io.EOF) {
					t.Errorf("the service's session ended with %v", err)
				}
			}
		})
	}
}

// Without -peer it is the store that decides, as for a program of its owner's.
func TestDoctorGoesByTheStore(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	s := serveSessions(t, nil)
	w.write("billing.pub", encodeText(s.identity.Public().Bytes()))
	w.key("import", "-store", "alice.store", "-address", s.url, "-fingerprint", s.identity.Fingerprint().String(), "billing.pub")
	if out, errs, code := w.run("doctor", "-proxy", "direct", "-store", "alice.store", "-protocol", "billing/2", s.url); code != 0 || !strings.Contains(out, "passed  client") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	changed := serveSessions(t, nil)
	w.write("billing.pub", encodeText(changed.identity.Public().Bytes()))
	w.key("import", "-store", "alice.store", "-address", s.url, "-fingerprint", changed.identity.Fingerprint().String(), "billing.pub")
	if out, errs, code := w.run("doctor", "-proxy", "direct", "-store", "alice.store", "-protocol", "billing/2", s.url); code != exitFailure || !strings.Contains(out, "the store admits another one at 127.0.0.1:") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
}

func TestDoctorSessionInJSONAndReport(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	w.env[envCredentials] = "s3cr3t"
	s := serveSessions(t, nil)
	out, errs, code := w.run("doctor", "-json", "-report", "report.json", "-proxy", "direct", "-store", "alice.store", "-peer", s.identity.Fingerprint().String(), "-protocol", "billing/3", s.url)
	var r struct {
		OK       bool
		Findings []struct{ Step, Result, Problem string }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitFailure || r.OK {
		t.Fatalf("code %d, %v: %s%s", code, err, out, errs)
	}
	last := r.Findings[len(r.Findings)-1]
	if last.Step != "protocol" || last.Result != "failed" || !strings.Contains(last.Problem, `"billing/3"`) {
		t.Errorf("the last finding is %+v", last)
	}
	if report := w.read("report.json"); !strings.Contains(report, `"step": "protocol"`) || strings.Contains(report+out, "s3cr3t") {
		t.Errorf("the report is\n%s", report)
	}
}

func TestDoctorSessionCalledWrongly(t *testing.T) {
	w := newWorld(t)
	fingerprint := w.store("alice")
	delete(w.env, envStore)
	for _, args := range [][]string{
		{"-peer", fingerprint}, {"-store", "alice.store"}, {"-proof"}, {"-peer", "fp1nonsense", "-protocol", "x"},
		{"-protocol", "x"}, {"-store", "alice.store", "-protocol", strings.Repeat("x", 256)},
	} {
		if _, errs, code := w.run(append([]string{"doctor", "ws://127.0.0.1:1"}, args...)...); code != exitUsage {
			t.Errorf("%q: code %d: %s", args, code, errs)
		}
	}
	w.failsAs(exitFailure, "there is no store gone.store", "doctor", "-store", "gone.store", "-protocol", "x", "ws://127.0.0.1:1")
	// A way that is not free ends before the session.
	if out, _, code := w.run("doctor", "-proxy", "direct", "-store", "alice.store", "-protocol", "x", "ws://127.0.0.1:1"); code != exitFailure || strings.Contains(out, "  server") {
		t.Errorf("code %d: %s", code, out)
	}
}

// A server that says nothing is not waited for longer than -timeout says.
func TestDoctorDoesNotWaitForEver(t *testing.T) {
	w := newWorld(t)
	fingerprint := w.store("alice")
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, &transport.AcceptOptions{Sealed: true}); err == nil {
			for err == nil {
				_, err = conn.Read(r.Context(), nil)
			}
		}
	}))
	defer silent.Close()
	out, errs, code := w.run("doctor", "-proxy", "direct", "-store", "alice.store", "-peer", fingerprint, "-protocol", "x", "-timeout", "700ms", silent.URL)
	if code != exitFailure || !strings.Contains(out, "failed  server") || !strings.Contains(out, "the other end did not answer in time") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
}

// -roots counts for a proxy that speaks TLS, too.
func TestDoctorTrustsTheProxysAuthority(t *testing.T) {
	w := newWorld(t)
	to := strings.TrimPrefix(diagnosed(t), "ws://")
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		there, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		rw.Header().Set("Via", "1.1 the proxy")
		rw.WriteHeader(http.StatusOK)
		here, rest, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		go io.Copy(there, rest)
		io.Copy(here, there)
	}))
	proxy.TLS.NextProtos, proxy.TLS.MinVersion = nil, tls.VersionTLS12
	defer proxy.Close()
	w.write("roots.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})))
	out, errs, code := w.run("doctor", "-proxy", proxy.URL, "-roots", "roots.pem", "ws://"+to)
	if code != 0 || !strings.Contains(out, "passed  proxy") || !strings.Contains(out, "answered by Via: 1.1 the proxy") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	out, _, code = w.run("doctor", "-proxy", proxy.URL, "ws://"+to)
	if code != exitFailure || !strings.Contains(out, "trust this one with -roots") && !strings.Contains(out, "add its root to -roots") {
		t.Errorf("code %d: %s", code, out)
	}
}

// Who answered is shown where an answer says so.
func TestDoctorShowsWhoAnswered(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "front/1.2")
		w.Header().Set("Via", "1.1 somewhere")
		http.NotFound(w, r)
	}))
	defer web.Close()
	out, _, code := newWorld(t).run("doctor", "-proxy", "direct", web.URL)
	if code != exitFailure || !strings.Contains(out, "answered by Server: front/1.2") || !strings.Contains(out, "answered by Via: 1.1 somewhere") {
		t.Errorf("code %d: %s", code, out)
	}
}

// No text that the doctor shows names a field of Go options for which it has a flag.
func TestDoctorNamesItsFlags(t *testing.T) {
	field := regexp.MustCompile(`\b(RootsPEM|CertFile|KeyFile|BearerToken|Subprotocols|DialOptions\.(Network|Header|Proxy)\b)`)
	files, err := filepath.Glob("../../../transport/*.go")
	more, _ := filepath.Glob("../../../transport/diagnose/*.go")
	if files = append(files, more...); err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	found := 0
	for _, name := range files {
		// What only servers and browsers say, the doctor does not.
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_js.go") || strings.Contains(name, "accept") || strings.HasSuffix(name, "/redact.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && field.MatchString(text) && strings.Contains(text, " ") {
				found++
				if shown := flagNames.Replace(text); field.MatchString(shown) {
					t.Errorf("%s: the doctor shows %q", filepath.Base(name), shown)
				}
			}
			return true
		})
	}
	if found < 10 {
		t.Errorf("only %d texts name a field: the test does not find them", found)
	}
	report := &diagnose.Report{Findings: []diagnose.Finding{{Problem: "add its root to TLS.RootsPEM", Advice: "set TLS.CertFile and TLS.KeyFile"}}}
	if nameFlags(report); fmt.Sprint(report.Findings[0].Problem, report.Findings[0].Advice) != "add its root to -rootsgive -cert and -key" {
		t.Errorf("shown as %+v", report.Findings[0])
	}
}
