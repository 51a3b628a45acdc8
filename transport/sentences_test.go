//go:build linux

package transport_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

func usage(uses ...x509.ExtKeyUsage) pki.Change {
	return func(c *x509.Certificate) { c.ExtKeyUsage = uses }
}

func permitting(domain string) pki.Change {
	return func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{domain}
		c.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(192, 0, 2, 0).To4(), Mask: net.CIDRMask(24, 32)}}
	}
}

func stapled(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}})
}

// TestCertificateFaults has a sentence for each kind of chain that is refused.
func TestCertificateFaults(t *testing.T) {
	wantEcho(t, dial(t, serve(t, nil, echo), nil))
	root := pki.Root()
	middle := func(changes ...pki.Change) *pki.Certificate {
		return pki.Issue("middle", root, append([]pki.Change{pki.CA}, changes...)...)
	}
	chain := func(of *pki.Certificate, changes ...pki.Change) tls.Certificate {
		return pki.Issue("x", of, changes...).Pair(of)
	}
	notCA := pki.Issue("not a CA", root)
	for name, c := range map[string]struct {
		served tls.Certificate
		want   string
	}{
		"for clients":          {pki.Issue("x", root, usage(x509.ExtKeyUsageClientAuth)).Pair(), "is not for servers: have it issued with the extended key usage serverAuth"},
		"authority of clients": {chain(middle(usage(x509.ExtKeyUsageClientAuth))), "may not issue any for servers"},
		"name constraints":     {chain(middle(permitting("other.example"))), "may not issue any for this name"},
		"path length":          {pki.Issue("x", pki.Issue("lower", middle(func(c *x509.Certificate) { c.MaxPathLenZero = true }), pki.CA)).Pair(), "unknown here"},
		"SHA-1":                {pki.Issue("x", root, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }).Pair(), "is signed with SHA-1, which can be forged"},
		"intermediate no CA":   {chain(notCA), "was issued by one that is no authority"},
		"critical extension": {pki.Issue("x", root, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}).Pair(), "demands something that this version does not know"},
		"must-staple":       {pki.Issue("x", root, stapled).Pair(), "demands a proof that it is not revoked (OCSP must-staple), and the server sends none"},
		"staple of nothing": {withStaple(pki.Issue("x", root, stapled).Pair(), []byte("no proof")), "proof that its certificate is not revoked (OCSP) is none"},
		"short RSA":         {rsaLeaf(t, root, 1024), "has an RSA key of 1024 bits, which can be broken"},
	} {
		leavesNothing(t, name, func(t *testing.T) {
			f := fault{url: tlsHop(t, &tls.Config{Certificates: []tls.Certificate{c.served}}), want: c.want, phase: transport.PhaseTLS, permanent: true}
			f.opts.TLS = &transport.TLSOptions{RootsPEM: root.PEM()}
			f.check(t)
		})
	}
	longer := middle(func(c *x509.Certificate) { c.MaxPathLenZero = true })
	lower := pki.Issue("lower", longer, pki.CA)
	leavesNothing(t, "path length, whole chain", func(t *testing.T) {
		f := fault{url: tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", lower).Pair(lower, longer)}}), phase: transport.PhaseTLS, permanent: true}
		f.opts.TLS, f.want = &transport.TLSOptions{RootsPEM: root.PEM()}, "longer than one of its authorities allows"
		f.check(t)
	})
	dialTrusting(t, root, rsaLeaf(t, root, 2048))
}

// TestStaples: what a server says about the revocation of its certificate counts.
func TestStaples(t *testing.T) {
	root := pki.Root()
	for name, c := range map[string]struct {
		demanded bool
		status   int
		from     time.Duration // before now
		until    time.Duration
		want     string // "" if the dial works
	}{
		"good":                        {true, ocsp.Good, time.Hour, time.Hour, ""},
		"good, and not demanded":      {false, ocsp.Good, time.Hour, time.Hour, ""},
		"revoked":                     {true, ocsp.Revoked, time.Hour, time.Hour, "is revoked"},
		"revoked, and not demanded":   {false, ocsp.Revoked, time.Hour, time.Hour, "is revoked"},
		"unknown":                     {true, ocsp.Unknown, time.Hour, time.Hour, "is none"},
		"unknown, and not demanded":   {false, ocsp.Unknown, time.Hour, time.Hour, ""},
		"too old":                     {true, ocsp.Good, 3 * time.Hour, -time.Hour, "is out of date"},
		"too new":                     {true, ocsp.Good, -time.Hour, 3 * time.Hour, "is out of date"},
		"a clock that differs a bit":  {true, ocsp.Good, -time.Minute, time.Hour, ""},
		"too old, and not demanded":   {false, ocsp.Good, 3 * time.Hour, -time.Hour, ""},
		"revoked, by an old response": {false, ocsp.Revoked, 3 * time.Hour, -time.Hour, "is revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := pki.Issue("x", root)
			if c.demanded {
				leaf = pki.Issue("x", root, stapled)
			}
			now := time.Now()
			der, err := ocsp.CreateResponse(root.Cert, root.Cert, ocsp.Response{Status: c.status, SerialNumber: leaf.Cert.SerialNumber,
				ThisUpdate: now.Add(-c.from), NextUpdate: now.Add(c.until), RevokedAt: now.Add(-c.from)}, root.Key)
			if err != nil {
				t.Fatal(err)
			}
			served := withStaple(leaf.Pair(), der)
			if c.want == "" {
				dialTrusting(t, root, served)
				return
			}
			url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{served}})
			e := dialError(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM()}})
			if !strings.Contains(e.Error(), c.want) || !e.Permanent() {
				t.Errorf("got %v", e)
			}
		})
	}
}

func dialTrusting(t *testing.T, root *pki.Certificate, served tls.Certificate) {
	t.Helper()
	opts := &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM()}}
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{served}})
	for range 2 { // the second resumes the session of TLS
		wantEcho(t, dial(t, url, opts))
	}
}

func withStaple(c tls.Certificate, staple []byte) tls.Certificate {
	c.OCSPStaple = staple
	return c
}

func rsaLeaf(t *testing.T, root *pki.Certificate, bits int) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	c := pki.Issue("x", root).Cert
	c.SerialNumber, c.SignatureAlgorithm = big.NewInt(7), x509.ECDSAWithSHA256
	der, err := x509.CreateCertificate(rand.Reader, c, root.Cert, &key.PublicKey, (*ecdsa.PrivateKey)(root.Key))
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestAFrontThatDropsUpgrade is the commonest mistake with nginx: the path is right, and
// the server says what did not reach it.
func TestAFrontThatDropsUpgrade(t *testing.T) {
	server := "http" + strings.TrimPrefix(serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, accepting(nil)); err == nil {
			conn.Close(transport.CodeNormal, "")
		}
	}), "ws")
	front := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Get(server + r.URL.Path) // without Upgrade and Connection
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	e := dialError(t, front+"/the/path", nil)
	if !strings.Contains(e.Error(), "the path is right, and a proxy in front of the server leaves out the headers Upgrade and Connection") || e.Status != 426 || !e.Permanent() {
		t.Errorf("got %v", e)
	}
}

// TestAPlainProxyIsRecognized: a proxy that waits for the rest of a line says nothing by
// itself to who begins with SOCKS5 or TLS.
func TestAPlainProxyIsRecognized(t *testing.T) {
	line := func(c net.Conn) { // answers lines, as squid and tinyproxy do
		var b bytes.Buffer
		for one := make([]byte, 1); ; {
			if _, err := io.ReadFull(c, one); err != nil {
				return
			}
			if b.Write(one); bytes.HasSuffix(b.Bytes(), []byte("\r\n\r\n")) {
				io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\nby <a href='https://tinyproxy.github.io/'>tinyproxy</a>")
				return
			}
		}
	}
	for _, scheme := range []string{"socks5", "https"} {
		leavesNothing(t, scheme, func(t *testing.T) {
			h := startHop(t, nil, line)
			began := time.Now()
			e := dialVia(t, scheme+"://me:s3cr3t@"+h.Addr().String(), transport.DialOptions{Timeouts: transport.DialTimeouts{Proxy: time.Minute}})
			if !strings.Contains(e.Error(), "is an HTTP proxy: its URL should start with http://") || !e.Permanent() {
				t.Errorf("got %v", e)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("after %v", took)
			}
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		h := startHop(t, nil, func(c net.Conn) {
			c.Read(make([]byte, 100))
			io.WriteString(c, "HTTP/1.1 400 s3cr3t\r\n\r\n")
			io.Copy(io.Discard, c)
		})
		e := dialVia(t, "https://"+h.Addr().String(), transport.DialOptions{})
		if !strings.Contains(e.Error(), "the proxy does not speak TLS on this port") || !e.Permanent() {
			t.Errorf("got %v", e)
		}
	})
}

// TestAProxyOfTheEnvironment says what the environment is read as.
func TestAProxyOfTheEnvironment(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} {
		t.Setenv(name, "")
		t.Setenv(strings.ToLower(name), "")
	}
	h := startHop(t, nil, answering("HTTP/1.1 403 no\r\n\r\n"))
	address := h.Addr().String()
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"all":              {map[string]string{"ALL_PROXY": "http://" + address}, "the proxy does not allow this host"},
		"all, small":       {map[string]string{"all_proxy": address}, "the proxy does not allow this host"},
		"all is second":    {map[string]string{"ALL_PROXY": "http://192.0.2.1:1", "HTTPS_PROXY": "http://" + address}, "the proxy does not allow this host"},
		"all, and not it":  {map[string]string{"ALL_PROXY": "http://" + address, "NO_PROXY": "service.invalid"}, "there is no host of that name"},
		"slash":            {map[string]string{"HTTPS_PROXY": "http://me:12/s3cr3t@" + address}, "write @ as %40, : as %3A, / as %2F"},
		"slash and letter": {map[string]string{"HTTPS_PROXY": "http://me:s3/cr3t@" + address}, "write @ as %40, : as %3A, / as %2F"},
		"hash":             {map[string]string{"HTTPS_PROXY": "http://me:12#s3cr3t@" + address}, "write @ as %40, : as %3A, / as %2F"},
		"question":         {map[string]string{"HTTPS_PROXY": "http://me:12?s3cr3t@" + address}, "write @ as %40, : as %3A, / as %2F"},
		"percent":          {map[string]string{"HTTPS_PROXY": "http://me:s3cr3t%zz@" + address}, "write @ as %40, : as %3A, / as %2F"},
		"percent, in all":  {map[string]string{"ALL_PROXY": "http://me:s3cr3t%zz@" + address}, "write @ as %40, : as %3A, / as %2F"},
		"at":               {map[string]string{"HTTPS_PROXY": "http://me:p@ss@" + address}, "the proxy does not allow this host"},
		"of another host":  {map[string]string{"HTTPS_PROXY": "http://me:s3cr3t%zz@" + address, "NO_PROXY": "service.invalid"}, "there is no host of that name"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			e := dialError(t, "wss://service.invalid", nil)
			if !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), "s3cr3t") {
				t.Errorf("got %v", e)
			}
		})
	}
}
