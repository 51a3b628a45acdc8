//go:build !js

package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// The program answers on the address that it prints, a client finds the relay
// there, and an interrupt ends both.
func TestServe(t *testing.T) {
	server := starts(t, "server", "-addr", "127.0.0.1:0")
	url := regexp.MustCompile(`http://\S+`).FindString(server.sees("The chat is at"))
	get(t, url)
	get(t, url+"/hopseal/core.wasm")
	anna := joins(t, url, "anna")
	server.cancel()
	if code, errors := server.ends(); code != 0 || errors != "" {
		t.Errorf("ended with %d, %q", code, errors)
	}
	anna.sees("the relay is gone")
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func TestTakenPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	addr := listener.Addr().String()
	failsWith(t, starts(t, "server", "-addr", addr), 1, addr+" is taken: stop what runs there, or choose another with -addr")
}

func TestAddressErrors(t *testing.T) {
	failsWith(t, starts(t, "server", "-addr", "nonsense"), 1, "choose another address with -addr")
	failsWith(t, starts(t, "server", "-addr", "192.0.2.1:80"), 1, "-addr")
}

// The page may run no script but the served ones; a browser runs those only with
// the right type.
func TestPageHeaders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"core.wasm", "index.js", "package.json", ".hidden.js.123"} {
		write(t, filepath.Join(dir, name), []byte("x"), 0o644)
	}
	server := httptest.NewServer(newHandler(http.NotFoundHandler(), dir))
	defer server.Close()
	for path, kind := range map[string]string{
		"/":                  "text/html; charset=utf-8",
		"/chat.js":           "text/javascript; charset=utf-8",
		"/style.css":         "text/css; charset=utf-8",
		"/icon.svg":          "image/svg+xml",
		"/hopseal/core.wasm": "application/wasm",
		"/hopseal/index.js":  "text/javascript; charset=utf-8",
	} {
		r, _ := get(t, server.URL+path)
		h := r.Header
		if r.StatusCode != 200 || h.Get("Content-Type") != kind || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %v", path, r.StatusCode, h)
		}
		for _, part := range []string{"default-src 'self';", "script-src 'self' 'wasm-unsafe-eval';", "connect-src 'self';", "frame-ancestors 'none'"} {
			if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, part) || strings.Contains(csp, "unsafe-inline") {
				t.Errorf("%s: policy %q", path, csp)
			}
		}
	}
	for _, path := range []string{"/hopseal/", "/hopseal/package.json", "/nothing", "/hopseal/../../go.mod", "/hopseal/.hidden.js.123"} {
		if r, _ := get(t, server.URL+path); r.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", path, r.StatusCode)
		}
	}
}

// The markup holds no inline script or style, which the policy would stop, and no
// page script makes markup out of text.
func TestPageMakesNoMarkup(t *testing.T) {
	files, err := filepath.Glob("page/*")
	if err != nil || len(files) < 7 {
		t.Fatalf("%v, %v", files, err)
	}
	banned := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|setHTML|\beval\(|new Function|\son\w+=|\sstyle=|javascript:`)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := banned.FindString(string(b)); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
		if strings.HasSuffix(name, ".html") && strings.Count(string(b), "<script") != 1 {
			t.Errorf("%s has more than the one script", name)
		}
	}
}

// A page from elsewhere cannot use the relay in a user's name.
func TestA43ForeignOriginIsRefused(t *testing.T) {
	w := startRelay(t)
	request, err := http.NewRequestWithContext(t.Context(), "GET", w.url+relayPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Origin": "https://evil.example", "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(k, v)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", r.StatusCode)
	}
}

// A server behind a front goes by the front's name, and on this machine by its own.
func TestHostNames(t *testing.T) {
	_, hosts, err := parseServe([]string{"-host", "chat.example.com,chat.example.org"}, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	w := startWire(t, "", func(*wire) http.Handler {
		return relay.New(relay.Options{Accept: &transport.AcceptOptions{Sealed: true, Hosts: hosts}})
	})
	for host, status := range map[string]int{"chat.example.com": 101, "chat.example.org:8090": 101, "localhost": 101, "127.0.0.1:1": 101, "evil.example": 421} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+relayPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", host, resp.Status, status)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
