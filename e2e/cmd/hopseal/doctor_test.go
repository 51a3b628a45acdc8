//go:build !js

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
)

// diagnosed is a server that answers diagnoses.
func diagnosed(t *testing.T) string {
	s := httptest.NewServer(diagnose.Handler(nil))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func TestDoctor(t *testing.T) {
	w := newWorld(t)
	out, errs, code := w.run("doctor", "-proxy", "direct", diagnosed(t))
	if code != 0 || errs != "" || !strings.Contains(out, "passed  echo") || !strings.Contains(out, "There is no TLS on the first hop") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	out, errs, code = w.run("doctor", gone.URL)
	if code != exitFailure || !strings.Contains(out, "nothing listens there") || errs != "hopseal: the way is not free: see the step that failed\n" {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
}

func TestDoctorJSON(t *testing.T) {
	out, errs, code := newWorld(t).run("doctor", "-json", diagnosed(t))
	var r struct {
		OK       bool
		Target   string
		HopTLS   string `json:"hop_tls"`
		Findings []struct{ Step, Result string }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || !r.OK || r.HopTLS != "none" || len(r.Findings) != 5 || r.Findings[0].Step != "name" {
		t.Errorf("code %d, %v: %s%s", code, err, out, errs)
	}
}

// TestA48TheReportForOthersHoldsNoSecret plants secrets wherever the command takes
// some.
func TestA48TheReportForOthersHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	w.env["HTTPS_PROXY"], w.env["HTTP_PROXY"], w.env["no_proxy"] = "http://user:s3cr3t@proxy.example:3128/s3cr3t", "s3cr3t@broken", "internal.example"
	w.env[envToken] = "s3cr3t"
	url := strings.Replace(diagnosed(t), "ws://", "wss://", 1) + "/s3cr3t?s3cr3t"
	out, errs, code := w.run("doctor", "-proxy", "direct", "-header", "Cookie: id=s3cr3t", "-report", "report.json", url)
	if code != exitFailure {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	report, err := os.ReadFile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out+errs+string(report), "s3cr3t") {
		t.Errorf("a secret is in\n%s%s%s", out, errs, report)
	}
	for _, want := range []string{`"HTTPS_PROXY": "http://proxy.example:3128"`, `"no_proxy": "internal.example"`, `"step": "tls"`, `"go": "go1.`} {
		if !strings.Contains(string(report), want) {
			t.Errorf("the report does not have %s:\n%s", want, report)
		}
	}
	if info, err := os.Stat("report.json"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report's mode is %v, %v", info.Mode(), err)
	}
	if _, errs, code := w.run("doctor", "-report", "report.json", url); code != exitFailure || !strings.Contains(errs, "exists already") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestDoctorCalledWrongly(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{}, {"a", "b"}, {"-header", "nonsense", "ws://x"}, {"-proxy", "http://user:s3cr3t@[", "ws://x"}, {"-proxy", "s3cr3t", "ws://x"}} {
		_, errs, code := w.run(append([]string{"doctor"}, args...)...)
		if code != exitUsage || strings.Contains(errs, "s3cr3t") {
			t.Errorf("%q: code %d: %s", args, code, errs)
		}
	}
	if _, errs, code := w.run("doctor", "-roots", "missing.pem", "wss://x"); code != exitFailure || !strings.Contains(errs, "missing.pem") {
		t.Errorf("code %d: %s", code, errs)
	}
}

// TestTrace starts a trace, goes through it, and reads what it shows.
func TestTrace(t *testing.T) {
	for _, format := range []string{"text", "json", "hex"} {
		t.Run(format, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r, w := io.Pipe()
			args := []string{"trace", diagnosed(t)}
			if format != "text" {
				args = append(args, "-"+format)
			}
			ended := make(chan int, 1)
			go func() {
				ended <- run(ctx, system{stdout: w, stderr: w, getenv: func(string) string { return "" }}, args)
				w.Close()
			}()
			lines := bufio.NewReader(r)
			first, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var rest strings.Builder
			read := make(chan struct{})
			go func() { io.Copy(&rest, lines); close(read) }()
			report := diagnose.Run(ctx, regexp.MustCompile(`ws://[0-9.:]+`).FindString(first), nil)
			if !report.OK() {
				t.Errorf("through the trace:\n%s", report)
			}
			stop()
			if code := <-ended; code != 0 {
				t.Errorf("code %d", code)
			}
			<-read
			for _, want := range map[string][]string{
				"text": {"#1 <- open: ws to 127.0.0.1:", "#1 -> message, 1024 bytes: ", "#1 <- message, 65536 bytes: "},
				"json": {`"connection":1,"event":"open","to_server":false,"way":"ws to 127.0.0.1:`, `"to_server":true,"size":1024,"head":"`},
				"hex":  {"00000000  7b 22 63 6c 69 65 6e 74", `|{"client`},
			}[format] {
				if !strings.Contains(rest.String(), want) {
					t.Errorf("no %q in\n%.2000s", want, &rest)
				}
			}
		})
	}
}

func TestTraceLetsListedPagesIn(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, system{stdout: w, stderr: w, getenv: func(string) string { return "" }}, []string{"trace", "-origin", "https://app.example", diagnosed(t)})
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, lines)
	url := regexp.MustCompile(`ws://[0-9.:]+`).FindString(first)
	for origin, want := range map[string]int{"https://evil.example": http.StatusForbidden, "https://app.example": http.StatusBadGateway} {
		// The server behind it does not know either of them.
		_, err := transport.Dial(ctx, url, &transport.DialOptions{Policy: transport.Development, Header: http.Header{"Origin": {origin}}})
		var refused *transport.DialError
		if !errors.As(err, &refused) || refused.Status != want {
			t.Errorf("%s: %v", origin, err)
		}
	}
	stop()
	<-ended
	w.Close()
}

func TestTraceListensHereOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.com:80", "nonsense"} {
		if _, errs, code := newWorld(t).run("trace", "-listen", address, "ws://127.0.0.1:1"); code != exitFailure || !strings.Contains(errs, "loopback") {
			t.Errorf("%s: code %d: %s", address, code, errs)
		}
	}
	if _, _, code := newWorld(t).run("trace"); code != exitUsage {
		t.Error("no URL was wanted")
	}
}

// TestTheKeyLogIsWhatWiresharkReads looks at the form of the secrets of a TLS link.
func TestTheKeyLogIsWhatWiresharkReads(t *testing.T) {
	server := httptest.NewUnstartedServer(diagnose.Handler(nil))
	server.StartTLS()
	t.Cleanup(server.Close)
	w := newWorld(t)
	out, errs, code := w.run("doctor", "-insecure-skip-tls-verify", "-insecure-key-log", "keys.log", server.URL)
	log, err := os.ReadFile("keys.log")
	if code != 0 || err != nil || !strings.Contains(string(log), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("code %d, %v: %s%s%s", code, err, out, errs, log)
	}
}
