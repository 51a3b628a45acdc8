package pebbletest

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/transport/servertls"
	"github.com/hopseal/hopseal/transport/servertls/acme"
)

const name = "chat.example.com"

// A node is a server whose certificates come from Pebble.
type node struct {
	*acme.Manager
	p       *pebble
	address string

	mu     sync.Mutex // guards what follows
	events []servertls.Event
}

// nodeOptions are those that differ.
type nodeOptions struct {
	at        net.Listener // nil for any
	cache     autocert.Cache
	challenge string
	binding   *xacme.ExternalAccountBinding
	clientCAs string // a file, where clients have to show certificates
}

func (p *pebble) node(t *testing.T, opts nodeOptions) *node {
	t.Helper()
	n := &node{p: p}
	quiet := slog.New(slog.DiscardHandler)
	n.Manager = must(acme.New(acme.Options{Hosts: []string{name, "other.example.com", "blocked.example.com"}, Cache: opts.cache, AcceptTerms: true, Email: "operator@example.com",
		Directory: p.URL + wfeDirectory, HTTPClient: p.Client(), Challenge: opts.challenge, ExternalAccountBinding: opts.binding, Notify: n.add, Logger: quiet}))
	t.Cleanup(n.Manager.Close)
	certs := must(servertls.Watch(servertls.Options{GetCertificate: n.GetCertificate, Certificates: n.Certificates, ClientCAs: opts.clientCAs, Logger: quiet}))
	t.Cleanup(certs.Close)
	if opts.at == nil {
		opts.at = listen(t)
	}
	n.address = opts.at.Addr().String()
	serve(t, tls.NewListener(opts.at, certs.TLSConfig()), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	return n
}

// wfeDirectory is where Pebble has its directory.
const wfeDirectory = "/dir"

func listen(t *testing.T) net.Listener {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	return l
}

func serve(t *testing.T, l net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
}

func (n *node) add(e servertls.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

// reported waits for the wanted number of events of a kind, and reports whether they came and no more.
func (n *node) reported(kind servertls.Kind, want int) bool {
	for end := time.Now().Add(10 * time.Second); n.count(kind) < want && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return n.count(kind) == want
}

func (n *node) count(kind servertls.Kind) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.events {
		if e.Kind == kind {
			count++
		}
	}
	return count
}

// visit returns the serial of the certificate that a client sees, which trusts Pebble's
// root alone.
func (n *node) visit(name string, change ...func(*tls.Config)) (serial string, err error) {
	config := &tls.Config{RootCAs: n.p.roots(), ServerName: name}
	for _, c := range change {
		c(config)
	}
	conn, err := tls.Dial("tcp", n.address, config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (n *node) why(name string) string {
	if _, err := n.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); err != nil {
		return err.Error()
	}
	return ""
}

func dir(t *testing.T) autocert.DirCache { return autocert.DirCache(t.TempDir()) }

// entries lists the cache.
func entries(t *testing.T, cache autocert.DirCache) (names []string) {
	t.Helper()
	for _, e := range must(os.ReadDir(string(cache))) {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}
