//go:build !js

package transport_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

func TestA48OptionsThatCannotBeSentAreRefused(t *testing.T) {
	header := func(name, value string) transport.DialOptions {
		return transport.DialOptions{Header: http.Header{name: {value}}}
	}
	for name, c := range map[string]struct {
		opts transport.DialOptions
		want string
	}{
		"deflate":            {header("Sec-WebSocket-Extensions", "permessage-deflate"), "may not hold Sec-WebSocket-Extensions: the handshake sets it itself"},
		"subprotocol header": {header("sec-websocket-protocol", "s3cr3t"), "use Subprotocols"},
		"host":               {header("Host", "s3cr3t"), "may not hold Host"},
		"body":               {header("transfer-encoding", "chunked"), "may not hold transfer-encoding"},
		"line break":         {header("X-Key", "s3cr3t\r\nX: y"), "control character in X-Key"},
		"name":               {header("X s3cr3t:", "y"), "a name that no header may have"},
		"bearer":             {transport.DialOptions{BearerToken: "Bearer s3cr3t"}, "is it the token alone?"},
		"bearer, line break": {transport.DialOptions{BearerToken: "s3cr3t\n"}, "is it the token alone?"},
		"two":                {transport.DialOptions{BearerToken: "s3cr3t", Header: http.Header{"authorization": {"Basic s3cr3t"}}}, "both a BearerToken and an Authorization"},
		"subprotocol":        {transport.DialOptions{Subprotocols: []string{"a, b"}}, "without spaces and separators"},
		"empty subprotocol":  {transport.DialOptions{Subprotocols: []string{""}}, "without spaces and separators"},
		"twice":              {transport.DialOptions{Subprotocols: []string{"chat.v1", "Chat.v1"}}, "holds a name twice"},
		"network":            {transport.DialOptions{Network: "udp"}, `must be "tcp", "tcp4" or "tcp6"`},
	} {
		e := dialError(t, "wss://hopseal.invalid", &c.opts)
		if !strings.Contains(e.Error(), c.want) || e.Phase != 0 || !e.Permanent() || strings.Contains(e.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// TestA48NoCredentialOverSealedCleartext: Sealed is about messages, not about the
// handshake.
func TestA48NoCredentialOverSealedCleartext(t *testing.T) {
	for name, opts := range map[string]transport.DialOptions{
		"the BearerToken":                  {BearerToken: "s3cr3t"},
		"the header Authorization":         {Header: http.Header{"authorization": {"Basic s3cr3t"}}},
		"the header Cookie":                {Header: http.Header{"COOKIE": {"s3cr3t=1"}}},
		"the token among the Subprotocols": {Subprotocols: []string{"chat.v1", "Hopseal.Bearer.czNjcjN0"}},
	} {
		opts.Sealed = true
		for _, url := range []string{"ws://192.0.2.1", "ws://127.0.0.1"} {
			_, err := transport.Dial(t.Context(), url, &opts)
			if err == nil || !strings.Contains(err.Error(), name+" would cross the network in the clear") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
}

func TestDialSendsCredentials(t *testing.T) {
	got := make(chan http.Header, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Clone()
		http.SetCookie(w, &http.Cookie{Name: "node", Value: "7", Secure: true, Path: "/"})
		if conn, err := transport.Accept(w, r, nil); err == nil {
			echo(conn)
		}
	}))
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	header := http.Header{"X-Trace": {"1", "2"}}
	opts := &transport.DialOptions{Header: header, BearerToken: "abc.DEF-_~+/==", Jar: jar, TLS: &transport.TLSOptions{RootsPEM: pki.PEM(server.Certificate())}}
	for _, cookie := range []string{"", "node=7"} {
		dial(t, server.URL, opts)
		h := <-got
		if h.Get("Authorization") != "Bearer abc.DEF-_~+/==" || h.Get("Cookie") != cookie || strings.Join(h.Values("X-Trace"), ",") != "1,2" {
			t.Errorf("the server got %v", h)
		}
	}
	if fmt.Sprint(header) != "map[X-Trace:[1 2]]" {
		t.Errorf("the caller's header has become %v", header)
	}
}

// TestA48JarsStayClosedOverCleartext: whose cookies they are is not known here.
func TestA48JarsStayClosedOverCleartext(t *testing.T) {
	got := make(chan string, 1)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Cookie")
		http.SetCookie(w, &http.Cookie{Name: "node", Value: "7"})
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	jar, _ := cookiejar.New(nil)
	for _, c := range []struct {
		policy transport.Policy
		want   string
	}{{transport.Production, ""}, {transport.Production, ""}, {transport.Development, ""}, {transport.Development, "node=7"}} {
		transport.Dial(t.Context(), url, &transport.DialOptions{Sealed: true, Policy: c.policy, Jar: jar})
		if cookie := <-got; cookie != c.want {
			t.Errorf("%v: the cookie is %q", c.policy, cookie)
		}
	}
}

func TestDialOffersSubprotocols(t *testing.T) {
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat.v1"}}); err == nil {
			ws.CloseRead(r.Context())
			ws.Close(websocket.StatusNormalClosure, r.Header.Get("Sec-WebSocket-Protocol"))
		}
	})
	for offered, want := range map[string]string{"chat.v2 chat.v1": "chat.v1", "chat.v2": "", "": ""} {
		conn := dial(t, url, &transport.DialOptions{Subprotocols: strings.Fields(offered)})
		if got := conn.Info().Subprotocol; got != want {
			t.Errorf("offered %s, got %q", offered, got)
		}
	}
	url = serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		socket, _ := upgradeByHand(t, w, r, "Sec-WebSocket-Protocol: s3cr3t\r\n")
		socket.Close()
	})
	for _, offered := range [][]string{nil, {"chat.v1"}} {
		if e := dialError(t, url, &transport.DialOptions{Subprotocols: offered}); !strings.Contains(e.Error(), "handshake is wrong") || strings.Contains(e.Error(), "s3cr3t") {
			t.Errorf("a subprotocol that nobody offered: %v", e)
		}
	}
}

func TestDialByFamily(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here")
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, accepting(nil)); err == nil {
			echo(conn)
		}
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	url := "ws://" + l.Addr().String()
	wantEcho(t, dial(t, url, &transport.DialOptions{Network: "tcp6"}))
	wantEcho(t, dial(t, url, &transport.DialOptions{Network: "tcp"}))
	if e := dialError(t, url, &transport.DialOptions{Network: "tcp4"}); e.Phase != transport.PhaseResolve || !strings.Contains(e.Error(), "no address of the kind") {
		t.Errorf("got %v", e)
	}
}

func TestDialNoPort(t *testing.T) {
	for _, port := range []string{"0", "65536", "99999999999"} {
		if e := dialError(t, "wss://127.0.0.1:"+port, nil); e.Phase != transport.PhaseConnect || !strings.Contains(e.Error(), "no such port") || !e.Permanent() {
			t.Errorf("%s: %v", port, e)
		}
	}
}
