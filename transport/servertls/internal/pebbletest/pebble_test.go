package pebbletest

import (
	"bytes"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// TestMain sets what Pebble reads from the environment.
func TestMain(m *testing.M) {
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_AUTHZREUSE", "0")
	os.Exit(m.Run())
}

// A pebble is a Pebble with its resolver, to which every name is 127.0.0.1. It rejects
// good nonces now and then, as it does by itself.
type pebble struct {
	*httptest.Server
	opts     pebbleOptions
	resolver string
	now      atomic.Pointer[instance]

	mu  sync.Mutex // guards what follows
	log bytes.Buffer
}

type pebbleOptions struct {
	tls, http int               // the ports at which it checks names
	lifetime  uint64            // of certificates, in seconds; 0 is 90 days
	bindings  map[string]string // external accounts, needed if there are any
	blocked   string            // a name that it refuses
}

// An instance is what a restart loses.
type instance struct {
	ca      *ca.CAImpl
	handler http.Handler
}

func startPebble(t *testing.T, opts pebbleOptions) *pebble {
	t.Helper()
	p := &pebble{opts: opts, resolver: startResolver(t)}
	p.restart(t)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.now.Load().handler.ServeHTTP(w, r) }))
	t.Cleanup(p.Close)
	return p
}

func startResolver(t *testing.T) string {
	t.Helper()
	address := freeAddress(t)
	resolver, err := challtestsrv.New(challtestsrv.Config{Log: log.New(io.Discard, "", 0), DNSAddrs: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	resolver.SetDefaultDNSIPv4("127.0.0.1")
	resolver.SetDefaultDNSIPv6("")
	go resolver.Run()
	t.Cleanup(resolver.Shutdown)
	return address
}

// restart gives it a new root, and no account.
func (p *pebble) restart(t *testing.T) {
	t.Helper()
	logger, store := log.New(p, "", 0), db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the only one", ValidityPeriod: p.opts.lifetime}})
	for id, key := range p.opts.bindings {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			t.Fatal(err)
		}
	}
	if p.opts.blocked != "" {
		if err := store.AddBlockedDomain(p.opts.blocked); err != nil {
			t.Fatal(err)
		}
	}
	checks := va.New(logger, p.opts.http, p.opts.tls, true, p.resolver, store)
	front := wfe.New(logger, store, checks, authority, []string{"pebble.example"}, true, len(p.opts.bindings) > 0, 1, 1)
	p.now.Store(&instance{ca: authority, handler: front.Handler()})
}

// Write takes its log.
func (p *pebble) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// said counts the lines of its log with a text.
func (p *pebble) said(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.log.String(), text)
}

func (p *pebble) orders() int { return p.said("Added order ") }

// roots are those that clients of its certificates trust.
func (p *pebble) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.now.Load().ca.GetRootCert(0).Cert)
	return pool
}

// freeAddress returns one of loopback that nobody listens at, for UDP and TCP.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if u, err := net.ListenPacket("udp", l.Addr().String()); err == nil {
			u.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

func portOf(address string) int { return must(net.ResolveTCPAddr("tcp", address)).Port }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
