//go:build !js

package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/transport/servertls"
)

const name = "chat.example.com"

// A world is an authority, a cache and nodes that reach each other in memory, so that it
// works in a bubble. Any part of it can be made to fail.
type world struct {
	*authority
	*testing.T
	cache    *cache
	requests atomic.Int64 // made to the authority

	mu     sync.Mutex // guards what follows
	faulty func(*http.Request) *http.Response
	nodes  []*node
}

func inWorld(t *testing.T, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{authority: makeAuthority(), T: t, cache: &cache{entries: make(map[string][]byte)}}
		w.Server = &httptest.Server{URL: "https://authority.example", Config: new(http.Server)}
		w.Config.Handler = w.routes()
		w.dial = func(context.Context) (net.Conn, error) { return w.last().connect(), nil }
		test(w)
		for _, n := range w.nodes {
			n.close()
		}
	})
}

// fault lets f answer in the authority's place, where it does not return nil.
func (w *world) fault(f func(*http.Request) *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faulty = f
}

// RoundTrip is how nodes reach the authority.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.requests.Add(1)
	w.mu.Lock()
	f := w.faulty
	w.mu.Unlock()
	done := make(chan *http.Response, 1)
	go func() {
		if f != nil {
			if answer := f(r); answer != nil {
				done <- answer
				return
			}
		}
		out, arrived := httptest.NewRecorder(), r.Clone(r.Context())
		if arrived.Body == nil {
			arrived.Body = http.NoBody
		}
		w.Config.Handler.ServeHTTP(out, arrived)
		done <- out.Result()
	}()
	select {
	case answer := <-done:
		answer.Request = r
		return answer, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// problem is an answer of RFC 8555, section 6.7.
func problem(status int, kind, detail string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/problem+json"}, "Replay-Nonce": {"nonce"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	text := fmt.Sprintf(`{"type":"urn:ietf:params:acme:error:%s","detail":%q,"status":%d}`, kind, detail, status)
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(text))}
}

func silence(r *http.Request) *http.Response {
	<-r.Context().Done()
	return problem(500, "serverInternal", "late")
}

// A cache is one in memory.
type cache struct {
	mu      sync.Mutex // guards what follows
	entries map[string][]byte
	faulty  func(ctx context.Context, call, key string) error
}

func (c *cache) call(ctx context.Context, call, key string) error {
	c.mu.Lock()
	f := c.faulty
	c.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx, call, key)
}

func (c *cache) fault(f func(ctx context.Context, call, key string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faulty = f
}

func (c *cache) Get(ctx context.Context, key string) ([]byte, error) {
	if err := c.call(ctx, "get", key); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.entries[key]
	if !ok {
		return nil, autocert.ErrCacheMiss
	}
	return slices.Clone(data), nil
}

func (c *cache) Put(ctx context.Context, key string, data []byte) error {
	if err := c.call(ctx, "put", key); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[key] = slices.Clone(data)
	return nil
}

func (c *cache) Delete(ctx context.Context, key string) error {
	if err := c.call(ctx, "delete", key); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
	return nil
}

func (c *cache) keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.entries))
}

func (c *cache) copyFrom(other *cache, key string) {
	other.mu.Lock()
	data := other.entries[key]
	other.mu.Unlock()
	c.Put(context.Background(), key, data)
}

var quiet = slog.New(slog.DiscardHandler)

// A node is a server.
type node struct {
	*world
	*Manager
	certs  *servertls.Watcher
	open   atomic.Int64 // handshakes that are under way
	mu     sync.Mutex   // guards what follows
	events []servertls.Event
}

func (w *world) node(opts Options) *node {
	w.Helper()
	n := &node{world: w}
	opts.AcceptTerms, opts.Directory, opts.HTTPClient = true, w.URL+"/directory", &http.Client{Transport: w}
	opts.Logger = quiet
	if opts.Notify == nil {
		opts.Notify = n.add
	}
	if opts.Hosts == nil && opts.HostPolicy == nil {
		opts.Hosts = []string{name, "other.example.com", "third.example.com"}
	}
	if opts.Cache == nil {
		opts.Cache = w.cache
	}
	var err error
	if n.Manager, err = New(opts); err != nil {
		w.Fatal(err)
	}
	n.certs, err = servertls.Watch(servertls.Options{GetCertificate: n.Manager.GetCertificate, Certificates: n.Manager.Certificates, Interval: time.Hour, Notify: n.add, Logger: quiet})
	if err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) last() *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[len(w.nodes)-1]
}

func (n *node) close() {
	n.Manager.Close()
	n.certs.Close()
}

func (n *node) add(e servertls.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

// told returns the events of a kind since the last call for it.
func (n *node) told(kind servertls.Kind) (out []servertls.Event) {
	synctest.Wait() // nobody waits for Notify
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = slices.DeleteFunc(n.events, func(e servertls.Event) bool {
		if e.Kind == kind {
			out = append(out, e)
		}
		return e.Kind == kind
	})
	return out
}

// connect returns a client's end of a connection to the node.
func (n *node) connect() net.Conn {
	client, server := net.Pipe()
	n.open.Add(1)
	go func() {
		defer n.open.Add(-1)
		defer server.Close()
		tls.Server(server, n.certs.TLSConfig()).Handshake()
	}()
	return client
}

// visit returns the serial of the certificate that a client sees, 0 if it sees none.
func (n *node) visit(name string, change ...func(*tls.Config)) (serial int64) {
	config := &tls.Config{RootCAs: n.pool(), ServerName: name}
	for _, c := range change {
		c(config)
	}
	raw := n.connect()
	defer raw.Close()
	conn := tls.Client(raw, config)
	if conn.Handshake() != nil {
		return 0
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// because returns why there is no certificate for a name, "" if there is one.
func (n *node) causeOf(name string) string {
	if _, err := n.Manager.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); err != nil {
		return err.Error()
	}
	return ""
}

func (w *world) expect(what string, ok bool, v ...any) {
	w.Helper()
	if !ok {
		w.Errorf("%s: %v", what, v)
	}
}

const day = 24 * time.Hour
