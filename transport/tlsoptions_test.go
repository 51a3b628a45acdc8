//go:build !js

package transport_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

func spki(c *x509.Certificate) [32]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// A recorder remembers the names that clients ask a server for.
func recording(conf *tls.Config) (asked chan string) {
	asked = make(chan string, 10)
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked <- hello.ServerName
		return nil, nil
	}
	return asked
}

func refusedOptions(t *testing.T, want string, opts *transport.TLSOptions) {
	t.Helper()
	e := dialError(t, "wss://hopseal.invalid", &transport.DialOptions{TLS: opts})
	if !strings.Contains(e.Error(), want) || e.Phase != 0 || !e.Permanent() {
		t.Errorf("%v: %v, want %q", e.Phase, e, want)
	}
}

func TestTLSOptionsAreCheckedBeforeTheDial(t *testing.T) {
	root := pki.Root()
	good := root.PEM()
	key := root.KeyPEM()
	pin := spki(root.Cert)
	missing := filepath.Join(t.TempDir(), "missing")
	refusedOptions(t, "RootsPEM cannot be read", &transport.TLSOptions{RootsPEM: []byte("no PEM")})
	refusedOptions(t, "RootsPEM cannot be read", &transport.TLSOptions{RootsPEM: append(good[:len(good):len(good)], good[:len(good)/2]...)})
	refusedOptions(t, "something that is no certificate", &transport.TLSOptions{RootsPEM: append(key, good...)})
	refusedOptions(t, "something that is no certificate", &transport.TLSOptions{RootsPEM: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")})
	refusedOptions(t, "needs a backup", &transport.TLSOptions{Pins: [][32]byte{pin}})
	refusedOptions(t, "needs a backup", &transport.TLSOptions{Pins: [][32]byte{pin, pin, pin}})
	refusedOptions(t, "both CertFile and KeyFile", &transport.TLSOptions{CertFile: missing})
	refusedOptions(t, "the client certificate cannot be loaded: open "+missing, &transport.TLSOptions{CertFile: missing, KeyFile: missing})
	refusedOptions(t, "set InsecureSkipTLSVerify", &transport.TLSOptions{Base: &tls.Config{InsecureSkipVerify: true}})
	refusedOptions(t, "set InsecureKeyLogWriter", &transport.TLSOptions{Base: &tls.Config{KeyLogWriter: new(bytes.Buffer)}})
	refusedOptions(t, "both NoSNI and ECHConfigList", &transport.TLSOptions{NoSNI: true, ECHConfigList: []byte{0}})
	refusedOptions(t, "both NoSNI and ECHConfigList", &transport.TLSOptions{NoSNI: true, Base: &tls.Config{EncryptedClientHelloConfigList: []byte{0}}})
	refusedOptions(t, "ECHConfigList is empty", &transport.TLSOptions{ECHConfigList: []byte{}})
	refusedOptions(t, "TLS_RSA_WITH_RC4_128_SHA", &transport.TLSOptions{Base: &tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_RC4_128_SHA}}})
}

func TestOnlyOptionsSwitchVerificationOff(t *testing.T) {
	for _, name := range []string{"InsecureSkipTLSVerify", "INSECURE_SKIP_TLS_VERIFY", "NODE_TLS_REJECT_UNAUTHORIZED"} {
		t.Setenv(name, "1")
	}
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", nil, pki.Expired, pki.Named("other.example")).Pair()}})
	dialError(t, url, nil)
	wantEcho(t, dial(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true}}))
}

func TestPrivateRootsTakeThePlaceOfTheSystems(t *testing.T) {
	root := pki.Root()
	middle := pki.Issue("middle", root, pki.CA)
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", middle).Pair(middle)}})
	other := pki.Issue("other", nil, pki.CA)
	for _, system := range []bool{false, true} {
		conn := dial(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: pki.PEM(other.Cert, root.Cert), SystemRoots: system}})
		wantEcho(t, conn)
		peer := conn.Info().TLS.Peer
		if len(peer) != 2 || peer[0].Subject != "CN=x" || peer[0].Issuer != "CN=middle" || strings.Join(peer[0].Names, " ") != "service.example 127.0.0.1" || peer[1].SPKI != spki(middle.Cert) {
			t.Errorf("the chain is %+v", peer)
		}
		dialError(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: other.PEM(), SystemRoots: system}})
	}
}

func TestPins(t *testing.T) {
	root := pki.Root()
	leaf, foreign := pki.Issue("x", root), pki.Issue("foreign", nil, pki.CA)
	backup := [32]byte{1}
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{leaf.Pair(foreign)}}) // which leads nowhere
	dialWith := func(insecure bool, pins ...[32]byte) error {
		opts := &transport.TLSOptions{RootsPEM: root.PEM(), Pins: pins, InsecureSkipTLSVerify: insecure}
		var first error
		for range 2 { // the second is resumed
			conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{TLS: opts})
			if err != nil {
				return errors.Join(first, err)
			}
			wantEcho(t, conn)
			conn.Close(transport.CodeNormal, "")
		}
		return nil
	}
	for name, c := range map[string]struct {
		insecure bool
		pins     [][32]byte
		ok       bool
	}{
		"leaf":                           {false, [][32]byte{spki(leaf.Cert), backup}, true},
		"root, as the backup":            {false, [][32]byte{backup, spki(root.Cert)}, true},
		"none":                           {false, [][32]byte{backup, {2}}, false},
		"sent, not in the chain":         {false, [][32]byte{spki(foreign.Cert), backup}, false},
		"unverified, leaf":               {true, [][32]byte{spki(leaf.Cert), backup}, true},
		"unverified, behind another key": {true, [][32]byte{spki(foreign.Cert), spki(root.Cert)}, false},
	} {
		if err := dialWith(c.insecure, c.pins...); (err == nil) != c.ok || !c.ok && !errors.Is(err, transport.ErrPin) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSessionsAreResumed(t *testing.T) {
	root := pki.Root()
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", root).Pair()}})
	resumed := func(opts *transport.TLSOptions) bool {
		conn := dial(t, url, &transport.DialOptions{TLS: opts})
		wantEcho(t, conn) // reads the ticket of TLS 1.3
		return conn.Info().TLS.Resumed
	}
	options := func() *transport.TLSOptions { return &transport.TLSOptions{RootsPEM: root.PEM()} }
	for name, c := range map[string]struct {
		first, second *transport.TLSOptions
		want          bool
	}{
		"the same options": {nil, options(), true},
		"other options":    {options(), options(), false},
		"switched off":     {nil, &transport.TLSOptions{RootsPEM: root.PEM(), NoResumption: true}, false},
		"TLS 1.2":          {nil, &transport.TLSOptions{RootsPEM: root.PEM(), Base: &tls.Config{MaxVersion: tls.VersionTLS12}}, true},
		"no name":          {nil, &transport.TLSOptions{RootsPEM: root.PEM(), NoSNI: true}, true},
	} {
		if c.first == nil {
			c.first = c.second
		}
		if resumed(c.first) {
			t.Errorf("%s: the first is resumed", name)
		}
		if got := resumed(c.second); got != c.want {
			t.Errorf("%s: resumed %v", name, got)
		}
	}
}

func TestNoSNISendsNoNameAndVerifiesIt(t *testing.T) {
	root := pki.Root()
	conf := &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", root).Pair()}}
	asked := recording(conf)
	h := startHop(t, nil, connectProxy(strings.TrimPrefix(tlsHop(t, conf), "wss://"), ""))
	options := func(noSNI bool, roots ...*x509.Certificate) *transport.DialOptions {
		return &transport.DialOptions{Proxy: via("http://" + h.Addr().String()), TLS: &transport.TLSOptions{RootsPEM: pki.PEM(roots...), NoSNI: noSNI}}
	}
	wantEcho(t, dial(t, "wss://service.example", options(false, root.Cert)))
	if got := <-asked; got != "service.example" {
		t.Errorf("asked for %q", got)
	}
	shared := options(true, root.Cert)
	wantEcho(t, dial(t, "wss://service.example", shared))
	if got := <-asked; got != "" {
		t.Errorf("asked for %q", got)
	}
	// Behind one proxy, and with no name sent, only the name tells the sessions apart.
	if e := dialError(t, "wss://other.example", shared); !strings.Contains(e.Error(), "is for another name") || e.Phase != transport.PhaseTLS {
		t.Errorf("got %v", e)
	}
	if e := dialError(t, "wss://service.example", options(true, pki.Root().Cert)); !strings.Contains(e.Error(), "authority unknown here") {
		t.Errorf("got %v", e)
	}
	later := options(true, root.Cert)
	later.TLS.Base = &tls.Config{Time: func() time.Time { return time.Now().AddDate(10, 0, 0) }}
	var cert *tls.CertificateVerificationError
	if e := dialError(t, "wss://service.example", later); !strings.Contains(e.Error(), "has expired") || !errors.As(e, &cert) {
		t.Errorf("got %v", e)
	}
}

func TestNoSNIResumesUnderTheSameNameOnly(t *testing.T) {
	root := pki.Root()
	both := pki.Issue("x", root, func(c *x509.Certificate) { c.DNSNames = []string{"one.example", "two.example"} })
	h := startHop(t, nil, connectProxy(strings.TrimPrefix(tlsHop(t, &tls.Config{Certificates: []tls.Certificate{both.Pair()}}), "wss://"), ""))
	opts := &transport.DialOptions{Proxy: via("http://" + h.Addr().String()), TLS: &transport.TLSOptions{RootsPEM: root.PEM(), NoSNI: true}}
	for _, c := range []struct {
		host    string
		resumed bool
	}{{"one.example", false}, {"two.example", false}, {"one.example", true}, {"two.example", true}} {
		conn := dial(t, "wss://"+c.host, opts)
		wantEcho(t, conn)
		if got := conn.Info().TLS.Resumed; got != c.resumed {
			t.Errorf("%s: resumed %v", c.host, got)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	root := pki.Root()
	pool := x509.NewCertPool()
	pool.AddCert(root.Cert)
	seen := make(chan string, 1)
	url := tlsHop(t, &tls.Config{
		Certificates: []tls.Certificate{pki.Issue("server", root).Pair()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
		VerifyConnection: func(s tls.ConnectionState) error {
			seen <- s.PeerCertificates[0].Subject.CommonName
			return nil
		},
	})
	shows := func(want string, opts *transport.TLSOptions) {
		t.Helper()
		opts.RootsPEM = root.PEM()
		wantEcho(t, dial(t, url, &transport.DialOptions{TLS: opts}))
		if got := <-seen; got != want {
			t.Errorf("the server saw %q, want %q", got, want)
		}
	}
	mine, foreign := pki.Issue("me", root), pki.Issue("foreign", pki.Issue("other", nil, pki.CA))
	shows("me", &transport.TLSOptions{Certificates: []tls.Certificate{foreign.Pair(), mine.Pair()}})
	shows("me", &transport.TLSOptions{Base: &tls.Config{Certificates: []tls.Certificate{mine.Pair()}}})
	own := mine.Pair()
	shows("me", &transport.TLSOptions{Base: &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }}})

	dir := t.TempDir()
	files := &transport.TLSOptions{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), NoResumption: true}
	for _, name := range []string{"first", "renewed"} {
		i := pki.Issue(name, root)
		if err := errors.Join(os.WriteFile(files.CertFile, i.PEM(), 0o600), os.WriteFile(files.KeyFile, i.KeyPEM(), 0o600)); err != nil {
			t.Fatal(err)
		}
		shows(name, files)
	}
}

func TestDialAgreesOnHTTP1(t *testing.T) {
	root := pki.Root()
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", root).Pair()}, NextProtos: []string{"h2", "http/1.1"}})
	conn := dial(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM(), Base: &tls.Config{NextProtos: []string{"h2"}}}})
	wantEcho(t, conn)
	if got := conn.Info().TLS.ALPN; got != "http/1.1" {
		t.Errorf("both agreed on %q", got)
	}
}

func TestKeyLog(t *testing.T) {
	root := pki.Root()
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", root).Pair()}})
	var keys bytes.Buffer
	wantEcho(t, dial(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM(), InsecureKeyLogWriter: &keys}}))
	if !strings.Contains(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("the log is %q", keys.String())
	}
}

// echConfig makes what the DNS record HTTPS of a host holds (draft-ietf-tls-esni,
// section 4), and the server's half of it.
func echConfig(t *testing.T, id byte, publicName string) (list []byte, key tls.EncryptedClientHelloKey) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	prefixed := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	contents := []byte{id, 0, 0x20}                                       // config id, DHKEM(X25519, HKDF-SHA256)
	contents = append(contents, prefixed(private.PublicKey().Bytes())...) //
	contents = append(contents, prefixed([]byte{0, 1, 0, 1})...)          // HKDF-SHA256, AES-128-GCM
	contents = append(contents, 0, byte(len(publicName)))                 // no padding wanted
	contents = append(append(contents, publicName...), 0, 0)              // no extensions
	config := append([]byte{0xfe, 0x0d}, prefixed(contents)...)
	return prefixed(config), tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}
}

func TestECHHidesTheName(t *testing.T) {
	root := pki.Root()
	list, key := echConfig(t, 7, "public.example")
	newer, newerKey := echConfig(t, 8, "public.example")
	conf := &tls.Config{
		Certificates:             []tls.Certificate{pki.Issue("x", root).Pair(), pki.Issue("y", root, pki.Named("public.example")).Pair()},
		EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key},
	}
	h := startHop(t, nil, connectProxy(strings.TrimPrefix(tlsHop(t, conf), "wss://"), ""))
	dialWith := func(list []byte) *transport.DialOptions {
		return &transport.DialOptions{Proxy: via("http://" + h.Addr().String()), TLS: &transport.TLSOptions{RootsPEM: root.PEM(), ECHConfigList: list}}
	}
	conn := dial(t, "wss://service.example", dialWith(list))
	wantEcho(t, conn)
	if !conn.Info().TLS.ECH || strings.Count(h.saw(), "service.example") != 2 { // both in CONNECT
		t.Errorf("ECH %v, and the proxy saw the name %d times", conn.Info().TLS.ECH, strings.Count(h.saw(), "service.example"))
	}

	conf2 := &tls.Config{Certificates: conf.Certificates, EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{newerKey}}
	h = startHop(t, nil, connectProxy(strings.TrimPrefix(tlsHop(t, conf2), "wss://"), ""))
	e := dialError(t, "wss://service.example", dialWith(list))
	var rejected *tls.ECHRejectionError
	if !errors.As(e, &rejected) || !bytes.Equal(rejected.RetryConfigList, newer) || !strings.Contains(e.Error(), "could not decrypt its name (ECH)") {
		t.Errorf("got %v", e)
	}
}
