//go:build !js

package tap_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/internal/tap"
	"github.com/hopseal/hopseal/transport"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A record keeps events, with copies of their messages.
type record struct {
	mu     sync.Mutex
	events []tap.Event
}

func (r *record) add(e tap.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Data = slices.Clone(e.Data)
	r.events = append(r.events, e)
}

func (r *record) lines() (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		arrow := "<"
		if e.ToServer {
			arrow = ">"
		}
		lines = append(lines, arrow+e.Kind.String()+" "+string(e.Data))
	}
	return lines
}

// between puts a tap before a server, and returns the URL of the tap.
func between(t *testing.T, serve func(transport.Conn, *http.Request), opts *transport.AcceptOptions) (string, *record) {
	t.Helper()
	if opts == nil {
		opts = &transport.AcceptOptions{}
	}
	opts.Policy = transport.Development
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, opts); err == nil {
			serve(conn, r)
		}
	}))
	r := new(record)
	tapped := httptest.NewServer(&tap.Tap{Target: server.URL + "/path", Dial: transport.DialOptions{Policy: transport.Development}, Report: r.add})
	t.Cleanup(func() { tapped.Close(); server.Close() })
	return tapped.URL, r
}

func dial(t *testing.T, url string, opts transport.DialOptions) transport.Conn {
	t.Helper()
	opts.Policy = transport.Development
	conn, err := transport.Dial(t.Context(), url, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(transport.CodeNormal, "") })
	return conn
}

// TestATapIsTransparent sends headers, a subprotocol, messages and a close code
// through a tap.
func TestATapIsTransparent(t *testing.T) {
	over := make(chan struct{})
	url, seen := between(t, func(conn transport.Conn, r *http.Request) {
		defer close(over)
		if r.URL.Path != "/path" || r.Header.Get("Authorization") != "Bearer token" || r.Header.Get("Origin") != "http://127.0.0.1" {
			t.Errorf("the server got %s %v", r.URL, r.Header)
		}
		msg, err := conn.Read(context.Background(), nil)
		if err != nil || string(msg) != "ask" {
			t.Errorf("%q, %v", msg, err)
		}
		conn.Write(context.Background(), []byte("answer"))
		conn.Close(4321, "enough")
	}, &transport.AcceptOptions{Subprotocols: []string{"b"}, Origins: []string{"http://127.0.0.1"}})
	conn := dial(t, url, transport.DialOptions{BearerToken: "token", Subprotocols: []string{"a", "b"}, Header: http.Header{"Origin": {"http://127.0.0.1"}}})
	if got := conn.Info().Subprotocol; got != "b" {
		t.Errorf("subprotocol %q", got)
	}
	if err := conn.Write(t.Context(), []byte("ask")); err != nil {
		t.Fatal(err)
	}
	if msg, err := conn.Read(t.Context(), nil); err != nil || string(msg) != "answer" {
		t.Errorf("%q, %v", msg, err)
	}
	_, err := conn.Read(t.Context(), nil)
	var closed *transport.CloseError
	if !errors.As(err, &closed) || closed.Code != 4321 || closed.Reason != "enough" {
		t.Errorf("closed with %v", err)
	}
	<-over
	want := []string{"<open ", ">message ask", "<message answer", "<closed "}
	if got := seen.lines(); !slices.Equal(got, want) {
		t.Errorf("the tap saw %q, want %q", got, want)
	}
}

func TestATapAddsItsOwnHeaders(t *testing.T) {
	got := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer server.Close()
	tapped := httptest.NewServer(&tap.Tap{Target: server.URL, Report: func(tap.Event) {},
		Dial: transport.DialOptions{Policy: transport.Development, Header: http.Header{"x-own": {"tap"}, "X-Both": {"tap"}}}})
	defer tapped.Close()
	transport.Dial(t.Context(), tapped.URL, &transport.DialOptions{Policy: transport.Development, Header: http.Header{"X-Client": {"client"}, "X-Both": {"client"}}})
	if h := <-got; h.Get("X-Own") != "tap" || h.Get("X-Client") != "client" || !slices.Equal(h.Values("X-Both"), []string{"tap"}) {
		t.Errorf("the server got %v", h)
	}
}

func TestATapTellsTheServerOfTheClientsEnd(t *testing.T) {
	end := make(chan error, 1)
	url, _ := between(t, func(conn transport.Conn, _ *http.Request) {
		_, err := conn.Read(context.Background(), nil)
		end <- err
	}, nil)
	dial(t, url, transport.DialOptions{}).Close(transport.CodePolicy, "why")
	var closed *transport.CloseError
	if err := <-end; !errors.As(err, &closed) || closed.Code != transport.CodePolicy || closed.Reason != "why" {
		t.Errorf("the server saw %v", err)
	}
}

// TestA43NoPageFromElsewhereUsesATap has pages come that a browser on this machine
// shows, one of them under a name that its owner lets point here (DNS rebinding). The
// tap has a credential, which they must not get to use.
func TestA43NoPageFromElsewhereUsesATap(t *testing.T) {
	reached := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.Header.Get("Authorization")
		if conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development, Origins: r.Header.Values("Origin")}); err == nil {
			conn.Read(r.Context(), nil)
		}
	}))
	defer server.Close()
	seen := new(record)
	tapped := httptest.NewServer(&tap.Tap{Target: server.URL, Origins: []string{"https://app.example"}, Report: seen.add,
		Dial: transport.DialOptions{Policy: transport.Development, BearerToken: "s3cr3t"}})
	defer tapped.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(tapped.URL, "http://"), ":")
	for origin, ok := range map[string]bool{
		"http://localhost:3000": true, "http://[::1]": true, "https://app.example": true, "": true,
		"https://evil.example": false, "https://app.example.evil.example": false, "http://localhost.evil.example": false, "null": false,
		"http://evil.example:" + port: false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", tapped.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if name, ok := strings.CutPrefix(origin, "http://evil"); ok {
			r.Host = "evil" + name
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if (resp.StatusCode == http.StatusSwitchingProtocols) != ok || len(reached) > 0 != ok {
			t.Errorf("a page of %q gets %s, and the server saw %d requests", origin, resp.Status, len(reached))
		}
		for len(reached) > 0 {
			<-reached
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestATapSaysWhyThereIsNoConnection(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	seen := new(record)
	tapped := httptest.NewServer(&tap.Tap{Target: server.URL + "/?token=s3cr3t", Dial: transport.DialOptions{Policy: transport.Development}, Report: seen.add})
	defer tapped.Close()
	_, err := transport.Dial(t.Context(), tapped.URL, &transport.DialOptions{Policy: transport.Development})
	var failed *transport.DialError
	if !errors.As(err, &failed) || failed.Status != http.StatusBadGateway {
		t.Errorf("the client got %v", err)
	}
	if len(seen.events) != 1 || seen.events[0].Kind != tap.Failed || !strings.Contains(seen.events[0].Err.Error(), "404") || strings.Contains(seen.events[0].Err.Error(), "s3cr3t") {
		t.Errorf("the tap reports %v", seen.events)
	}
}
