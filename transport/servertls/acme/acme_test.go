//go:build !js

package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/acme/autocert"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport/servertls"
)

func TestMain(m *testing.M) { leak.Main(m) }

// serve runs a server whose certificates come from the authority.
func serve(t *testing.T, a *authority, opts Options) (address string, certs *servertls.Watcher) {
	t.Helper()
	opts.AcceptTerms, opts.Directory, opts.HTTPClient = true, a.URL+"/directory", a.Client()
	manager, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manager.Close)
	certs, err = servertls.Watch(servertls.Options{GetCertificate: manager.GetCertificate, Certificates: manager.Certificates, HTTP2: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := must(tls.Listen("tcp", "127.0.0.1:0", certs.TLSConfig()))
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() { server.Close(); <-done; certs.Close() })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.address = l.Addr().String()
	return a.address, certs
}

// visit returns the serial of the certificate that a client sees.
func visit(a *authority, address, name string) (int64, error) {
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: a.pool(), ServerName: name})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func (a *authority) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, o := range a.orders {
		names = append(names, o.name)
	}
	return names
}

func TestACertificateFromAnAuthority(t *testing.T) {
	a, cache := newAuthority(t), autocert.DirCache(t.TempDir())
	address, certs := serve(t, a, Options{Hosts: []string{"chat.example.com"}, Cache: cache})
	for range 3 {
		if serial, err := visit(a, address, "chat.example.com"); err != nil || serial != 1 {
			t.Fatalf("serial %d, error %v, the authority says %v", serial, err, a.failure)
		}
	}
	if e := certs.Expiries(); len(e) != 1 || e[0].Name != "chat.example.com" {
		t.Errorf("expiries %+v", e)
	}
	for _, name := range []string{"evil.example.com", "com", "chat.example.com.evil.example"} {
		if _, err := visit(a, address, name); err == nil {
			t.Errorf("there was a certificate for %s", name)
		}
	}
	if _, err := visit(a, address, "127.0.0.1"); err == nil { // sends no name
		t.Error("there was a certificate for nobody")
	}

	again, _ := serve(t, a, Options{Hosts: []string{"chat.example.com"}, Cache: cache}) // a restart, or another node
	if serial, err := visit(a, again, "chat.example.com"); err != nil || serial != 1 {
		t.Errorf("from the cache: serial %d, error %v", serial, err)
	}
	if asked := a.asked(); !slices.Equal(asked, []string{"chat.example.com"}) {
		t.Errorf("the authority was asked for %v", asked)
	}
}

func TestAHostPolicyComesBeforeTheCache(t *testing.T) {
	a, allowed := newAuthority(t), true
	address, _ := serve(t, a, Options{Cache: autocert.DirCache(t.TempDir()), HostPolicy: func(_ context.Context, host string) error {
		if allowed && host == "chat.example.com" {
			return nil
		}
		return errors.New("unknown")
	}})
	if _, err := visit(a, address, "chat.example.com"); err != nil {
		t.Fatal(err, a.failure)
	}
	allowed = false
	if _, err := visit(a, address, "chat.example.com"); err == nil {
		t.Error("a name that is not allowed any more is served")
	}
}

// An authority that cannot be reached must not take down what is cached.
func TestAnAuthorityThatIsGone(t *testing.T) {
	a, cache := newAuthority(t), autocert.DirCache(t.TempDir())
	address, _ := serve(t, a, Options{Hosts: []string{"chat.example.com", "new.example.com"}, Cache: cache})
	if _, err := visit(a, address, "chat.example.com"); err != nil {
		t.Fatal(err)
	}
	a.CloseClientConnections()
	a.Listener.Close()
	again, _ := serve(t, a, Options{Hosts: []string{"chat.example.com", "new.example.com"}, Cache: cache})
	if _, err := visit(a, again, "chat.example.com"); err != nil {
		t.Error(err)
	}
	if _, err := visit(a, again, "new.example.com"); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("a name without a certificate: %v", err)
	}
}

func TestOptionsThatLeaveADecisionOpen(t *testing.T) {
	hosts, cache := []string{"chat.example.com"}, autocert.DirCache("x")
	policy := func(context.Context, string) error { return nil }
	host := func(name string) Options {
		return Options{Hosts: []string{name}, Cache: cache, AcceptTerms: true}
	}
	for want, rows := range map[string][]Options{
		"either list Hosts, or set HostPolicy": {{Cache: cache, AcceptTerms: true}, {Hosts: hosts, HostPolicy: policy, Cache: cache, AcceptTerms: true}},
		"Challenge is":                         {{Hosts: hosts, Cache: cache, AcceptTerms: true, Challenge: "dns-01"}},
		"there is no Cache":                    {{Hosts: hosts, AcceptTerms: true}},
		"set AcceptTerms":                      {{Hosts: hosts, Cache: cache}},
		"Directory is not an https URL":        {{Hosts: hosts, Cache: cache, AcceptTerms: true, Directory: "http://authority.example/"}, {Hosts: hosts, Cache: cache, AcceptTerms: true, Directory: "https:///x"}},
		`"10.0.0.1" is an address`:             {host("10.0.0.1")},
		`"::1" is an address`:                  {host("::1")},
		`"*.example.com" is a wildcard`:        {host("*.example.com")},
		"is not a full DNS name":               {host(""), host("localhost"), host("chat.example.com:443"), host("chat.example.com."), host("a b.example.com"), host("chat_.example.com\n")},
	} {
		for _, opts := range rows {
			if _, err := New(opts); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%+v: got %v, want %s", opts, err, want)
			}
		}
	}
	for _, name := range []string{"chat.example.com", "CHAT.example.com", "bücher.example"} {
		manager, err := New(host(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		manager.Close()
	}
}

// Without a Logger, slog.Default is told what failed and what was issued.
func TestWhoSetsNothingIsTold(t *testing.T) {
	before, log := slog.Default(), new(bytes.Buffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	defer slog.SetDefault(before)
	a := newAuthority(t)
	manager := must(New(Options{Hosts: []string{name}, Cache: autocert.DirCache("/dev/null/x"), AcceptTerms: true, Directory: a.URL + "/directory", HTTPClient: a.Client()}))
	if err := manager.Warm(t.Context()); err == nil {
		t.Error("there was a certificate")
	}
	manager.Close()
	for _, want := range []string{"level=ERROR", "acme: there is no certificate, clients are refused", "name=" + name, "the cache cannot be"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}
