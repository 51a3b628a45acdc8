//go:build unix

package servertls

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/transport"
)

// service says which protocol a request used, and echoes messages at /ws.
func service() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered the request
		}
		defer conn.Close(transport.CodeNormal, "")
		for {
			msg, err := conn.Read(r.Context(), nil)
			if err != nil || conn.Write(r.Context(), msg) != nil {
				return
			}
		}
	})
	return mux
}

// httpTransport is a separate client.
func httpTransport(t *testing.T, ca *authority, protocols ...func(*http.Protocols, bool)) *http.Transport {
	out := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool()}, Protocols: new(http.Protocols)}
	for _, set := range protocols {
		set(out.Protocols, true)
	}
	t.Cleanup(out.CloseIdleConnections)
	return out
}

var http1, http2 = (*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2

// TestFronts puts proxies in front of services. The proxies speak HTTP/2 with clients and
// services; only some services do. Upgrades use HTTP/1.1 at every hop.
func TestFronts(t *testing.T) {
	ca := newAuthority()
	node := func(http2 bool, handler http.Handler) string {
		w := watch(t, Options{Pairs: []Pair{newFolder(t).put(ca.issue(nil))}, HTTP2: http2})
		return "https://" + serveHTTP(t, w, handler)
	}
	front := func(target string, protocols ...func(*http.Protocols, bool)) string {
		return node(true, &httputil.ReverseProxy{
			Transport: httpTransport(t, ca, protocols...),
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(must(url.Parse(target))) },
		})
	}
	old, modern := node(false, service()), node(true, service())
	for name, row := range map[string]struct {
		url   string
		proto string // at the service
	}{
		"service without h2":           {old, "HTTP/1.1"},
		"service with h2":              {modern, "HTTP/2.0"},
		"front, service without h2":    {front(old, http1, http2), "HTTP/1.1"},
		"front, service with h2":       {front(modern, http1, http2), "HTTP/2.0"},
		"front that fetches by h2":     {front(modern, http2), "HTTP/2.0"}, // upgrades excepted
		"two fronts, service with h2":  {front(front(modern, http1, http2), http1, http2), "HTTP/2.0"},
		"two fronts, service with 1.1": {front(front(old, http1, http2), http1, http2), "HTTP/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			client := httpTransport(t, ca, http1, http2)
			resp, err := client.RoundTrip(must(http.NewRequest("GET", row.url, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := string(must(io.ReadAll(resp.Body))); got != row.proto {
				t.Errorf("a page is fetched by %s, want %s", got, row.proto)
			}
			if front := strings.Contains(name, "front"); front && resp.Proto != "HTTP/2.0" {
				t.Errorf("the front was reached by %s", resp.Proto)
			}
			echo(t, row.url, httpTransport(t, ca, http1)) // as browsers do
			echo(t, row.url, client)                      // prefers h2 for the rest
		})
	}
}

func echo(t *testing.T, url string, client *http.Transport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: client}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for size := 1; size <= 1<<18; size *= 8 {
		sent := bytes.Repeat([]byte{byte(size)}, size)
		if err := conn.Write(ctx, websocket.MessageBinary, sent); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes came back as %d, error %v", size, len(got), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}
