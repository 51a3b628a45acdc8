package pebbletest

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"github.com/hopseal/hopseal/transport/servertls"
)

func legacy(c *tls.Config) {
	c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
}

// The first issue, by tls-alpn-01, of both kinds, and a restart.
func TestIssue(t *testing.T) {
	t.Parallel()
	at, cache := listen(t), dir(t)
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1})
	n := p.node(t, nodeOptions{at: at, cache: cache})
	if err := n.Warm(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	first, err := n.visit(name)
	if err != nil {
		t.Fatal(err)
	}
	if rsa, err := n.visit(name, legacy); err != nil || rsa == first {
		t.Errorf("without ECDSA: %s, %v", rsa, err)
	}
	again := p.node(t, nodeOptions{cache: cache})
	if serial, err := again.visit(name); err != nil || serial != first {
		t.Errorf("after a restart: %s, %v", serial, err)
	}
	if _, err := n.visit("wrong.example.com"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a wrong name: %v", err)
	}
	if p.orders() != 2 || !n.reported(servertls.Issued, 2) {
		t.Errorf("%d orders, %d told", p.orders(), n.count(servertls.Issued))
	}
	n.Close()
	if want := []string{"acme_account+key", name, name + "+rsa"}; !slices.Equal(entries(t, cache), want) {
		t.Errorf("the cache has %v, want %v", entries(t, cache), want)
	}
}

// The authority checks a server whose clients have to show certificates, and has none.
func TestIssueWhereClientsShowCertificates(t *testing.T) {
	t.Parallel()
	at, cas := listen(t), filepath.Join(t.TempDir(), "ca.pem")
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1})
	if err := os.WriteFile(cas, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.node(t, nodeOptions{at: at, cache: dir(t), clientCAs: cas}).Warm(t.Context(), name); err != nil {
		t.Error(err)
	}
}

// Two nodes with an empty shared cache, of which the authority asks only one.
func TestNodesShareACache(t *testing.T) {
	t.Parallel()
	at, cache := listen(t), dir(t)
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1})
	nodes := []*node{p.node(t, nodeOptions{cache: cache}), p.node(t, nodeOptions{at: at, cache: cache})}
	serials := make([]string, 2)
	var group sync.WaitGroup
	for i, n := range nodes {
		group.Go(func() {
			var err error
			if serials[i], err = n.visit(name); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		})
	}
	group.Wait()
	if serials[0] != serials[1] || p.orders() != 1 {
		t.Errorf("serials %v, %d orders", serials, p.orders())
	}
}

// Certificates of six seconds are renewed while clients come, none of which fails.
func TestRenewal(t *testing.T) {
	t.Parallel()
	at := listen(t)
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1, lifetime: 6})
	n := p.node(t, nodeOptions{at: at, cache: dir(t)})
	seen, visits := map[string]bool{}, 0
	for end := time.Now().Add(time.Minute); len(seen) < 2; visits++ {
		serial, err := n.visit(name)
		if err != nil {
			t.Fatalf("after %d visits: %v", visits, err)
		}
		if seen[serial] = true; time.Now().After(end) {
			t.Fatal("no renewal in a minute")
		}
	}
	t.Logf("%d visits, %d orders", visits, p.orders())
}

// A restart of the authority, which forgets accounts, and a crash, which leaves an empty
// account key, cure themselves.
func TestWhatIsForgotten(t *testing.T) {
	t.Parallel()
	at, cache := listen(t), dir(t)
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1})
	n := p.node(t, nodeOptions{at: at, cache: cache})
	if _, err := n.visit(name); err != nil {
		t.Fatal(err)
	}
	p.restart(t)
	if _, err := n.visit("other.example.com"); err != nil {
		t.Error(err, n.why("other.example.com"))
	}
	n.Close()
	if err := os.WriteFile(filepath.Join(string(cache), "acme_account+key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.node(t, nodeOptions{cache: cache}).visit("other.example.com"); err != nil {
		t.Error(err) // from the cache
	}
}

func TestAnEmptyAccountKey(t *testing.T) {
	t.Parallel()
	at, cache := listen(t), dir(t)
	if err := os.WriteFile(filepath.Join(string(cache), "acme_account+key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1})
	if _, err := p.node(t, nodeOptions{at: at, cache: cache}).visit(name); err != nil {
		t.Error(err)
	}
}

// The authority's words reach whoever looks, as often as they look.
func TestCauses(t *testing.T) {
	t.Parallel()
	p := startPebble(t, pebbleOptions{tls: portOf(freeAddress(t)), http: 1, blocked: "blocked.example.com"})
	n := p.node(t, nodeOptions{cache: dir(t)})
	for host, want := range map[string][]string{
		name:                  {"its check of the name: tls-alpn-01", "Failed to connect to 127.0.0.1"},
		"blocked.example.com": {"the order", "rejectedIdentifier"},
	} {
		for range 3 {
			for _, text := range want {
				if why := n.why(host); !strings.Contains(why, text) {
					t.Errorf("%s: %s, want %s", host, why, text)
				}
			}
		}
	}
	if p.orders() != 1 || !n.reported(servertls.IssueFailed, 2) {
		t.Errorf("%d orders, told %d times", p.orders(), n.count(servertls.IssueFailed))
	}
}

// An authority that wants accounts bound gets the binding, or its no is told.
func TestExternalAccountBinding(t *testing.T) {
	t.Parallel()
	at := listen(t)
	p := startPebble(t, pebbleOptions{tls: portOf(at.Addr().String()), http: 1, bindings: map[string]string{"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}})
	without := p.node(t, nodeOptions{cache: dir(t)})
	if why := without.why(name); !strings.Contains(why, "the account") || !strings.Contains(why, "externalAccountRequired") {
		t.Errorf("without: %s", why)
	}
	key := must(decodeBinding("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"))
	with := p.node(t, nodeOptions{at: at, cache: dir(t), binding: &xacme.ExternalAccountBinding{KID: "kid-1", Key: key}})
	if _, err := with.visit(name); err != nil {
		t.Error(err, with.why(name))
	}
}
