//go:build !js

package servertls

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatClientsGet(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}})
	address := serve(t, w.TLSConfig())
	s, err := visit(address, &tls.Config{RootCAs: ca.pool()})
	if err != nil || s.Version != tls.VersionTLS13 || s.CurveID != tls.X25519MLKEM768 || s.NegotiatedProtocol != "" {
		t.Errorf("by default %+v, error %v", s, err)
	}
	s, err = visit(address, &tls.Config{RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12})
	if err != nil || s.Version != tls.VersionTLS12 || !slices.Contains(suites, s.CipherSuite) {
		t.Errorf("with TLS 1.2 %+v, error %v", s, err)
	}
	for version := uint16(tls.VersionTLS10); version < tls.VersionTLS12; version++ {
		if _, err := visit(address, &tls.Config{RootCAs: ca.pool(), MinVersion: version, MaxVersion: version}); err == nil {
			t.Errorf("%s was accepted", tls.VersionName(version))
		}
	}
}

// TestSuites tries each suite that crypto/tls knows.
func TestSuites(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}})
	address := serve(t, w.TLSConfig())
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		_, err := visit(address, &tls.Config{RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
		modern := strings.Contains(suite.Name, "ECDHE") && (strings.Contains(suite.Name, "GCM") || strings.Contains(suite.Name, "POLY1305"))
		if modern != slices.Contains(suites, suite.ID) {
			t.Errorf("%s is in the list: %v", suite.Name, !modern)
		}
		if (err == nil) != (modern && strings.Contains(suite.Name, "ECDSA")) { // which the certificate is
			t.Errorf("%s: %v", suite.Name, err)
		}
	}
}

func TestProtocols(t *testing.T) {
	ca, files := newAuthority(), newFolder(t)
	pairs := []Pair{files.put(ca.issue(nil))}
	for _, row := range []struct {
		http2 bool
		offer []string
		want  string // or the error's text, which begins with a space
	}{
		{false, nil, ""},
		{false, []string{"http/1.1"}, "http/1.1"},
		{false, []string{"h2", "http/1.1"}, "http/1.1"},
		{false, []string{"h2"}, " no application protocol"},
		{true, nil, ""},
		{true, []string{"http/1.1"}, "http/1.1"},
		{true, []string{"h2", "http/1.1"}, "h2"},
		{true, []string{"h2"}, "h2"},
		{true, []string{"spdy/3"}, " no application protocol"},
	} {
		address := serve(t, watch(t, Options{Pairs: pairs, HTTP2: row.http2}).TLSConfig())
		s, err := visit(address, &tls.Config{RootCAs: ca.pool(), NextProtos: row.offer})
		if strings.HasPrefix(row.want, " ") {
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%+v: %v", row, err)
			}
		} else if err != nil || s.NegotiatedProtocol != row.want {
			t.Errorf("%+v: got %q, error %v", row, s.NegotiatedProtocol, err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, clients, strangers, files := newAuthority(), newAuthority(), newAuthority(), newFolder(t)
	opts := Options{Pairs: []Pair{files.put(ca.issue(nil))}, ClientCAs: files.write("clients.crt", clients.pem())}
	required := serve(t, watch(t, opts).TLSConfig())
	opts.ClientCertOptional = true
	optional := serve(t, watch(t, opts).TLSConfig())
	expired := func(t *x509.Certificate) { t.NotAfter = time.Now().Add(-time.Minute) }
	forServers := func(t *x509.Certificate) { t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	for name, row := range map[string]struct {
		certs              []tls.Certificate
		required, optional string // the errors
	}{
		"none":            {nil, "certificate required", ""},
		"good":            {[]tls.Certificate{clients.client(nil)}, "", ""},
		"expired":         {[]tls.Certificate{clients.client(expired)}, "expired certificate", "expired certificate"},
		"of strangers":    {[]tls.Certificate{strangers.client(nil)}, "unknown certificate authority", "unknown certificate authority"},
		"for servers":     {[]tls.Certificate{clients.client(forServers)}, "bad certificate", "bad certificate"},
		"of the server's": {[]tls.Certificate{ca.client(nil)}, "unknown certificate authority", "unknown certificate authority"},
	} {
		for address, want := range map[string]string{required: row.required, optional: row.optional} {
			config := &tls.Config{RootCAs: ca.pool()}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // sent though the server did not name its issuer
				if len(row.certs) == 0 {
					return new(tls.Certificate), nil
				}
				return &row.certs[0], nil
			}
			_, err := visit(address, config)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
		}
	}
}

// TestClientCAsChange also resumes sessions: a ticket must not let in a client that the
// files no longer allow.
func TestClientCAsChange(t *testing.T) {
	ca, first, second, files := newAuthority(), newAuthority(), newAuthority(), newFolder(t)
	w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}, ClientCAs: files.write("clients.crt", first.pem())})
	address := serve(t, w.TLSConfig())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		files.write("clients.crt", first.pem())
		if err := w.Reload(); err != nil {
			t.Fatal(err)
		}
		client := func(a *authority) *tls.Config {
			return &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{a.client(nil)}, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		}
		one, two := client(first), client(second)
		if _, err := visit(address, one); err != nil {
			t.Fatal(err)
		}
		if s, err := visit(address, one); err != nil || !s.DidResume {
			t.Errorf("%s: resumed: %v, error %v", tls.VersionName(version), s.DidResume, err)
		}
		if _, err := visit(address, two); err == nil {
			t.Error("a client of the second authority was let in before it was listed")
		}
		files.write("clients.crt", second.pem())
		if err := w.Reload(); err != nil {
			t.Fatal(err)
		}
		if s, err := visit(address, one); err == nil {
			t.Errorf("%s: a client of the first authority was let in after it was taken out, resumed: %v", tls.VersionName(version), s.DidResume)
		}
		if _, err := visit(address, two); err != nil {
			t.Error(err)
		}

		files.write("clients.crt", []byte("nothing")) // refused: neither nobody nor everybody is let in
		if err := w.Reload(); err == nil {
			t.Error("a file without authorities was taken")
		}
		if _, err := visit(address, two); err != nil {
			t.Error(err)
		}
		if _, err := visit(address, one); err == nil {
			t.Error("everybody was let in")
		}
	}
}
