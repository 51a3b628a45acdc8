// Package pki makes certificates for tests. It panics where it cannot.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// A Certificate has its key, and may issue others if it is a [CA].
type Certificate struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// A Change is made to a certificate before it is signed.
type Change func(*x509.Certificate)

// Root returns an authority that nobody knows.
func Root() *Certificate { return Issue("root", nil, CA) }

// CA makes a certificate one of an authority.
func CA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	c.DNSNames, c.IPAddresses, c.ExtKeyUsage = nil, nil, nil
}

// Expired makes a certificate one that has ended on 2021-02-03.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2021, 2, 3, 0, 0, 0, 0, time.UTC)
}

// NotYet makes a certificate one that begins in a year.
func NotYet(c *x509.Certificate) { c.NotBefore = time.Now().AddDate(1, 0, 0) }

// Named makes a certificate one for that name alone.
func Named(name string) Change {
	return func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{name}, nil }
}

// Lasting makes a certificate one that ends after some time.
func Lasting(life time.Duration) Change {
	return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(life) }
}

// Issue makes a certificate for 127.0.0.1 and service.example, good for two years, at both
// ends of a connection. Without an issuer it is self-signed.
func Issue(name string, by *Certificate, changes ...Change) *Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(2, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{"service.example"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, change := range changes {
		change(c)
	}
	if by == nil {
		by = &Certificate{c, key}
	}
	der := must(x509.CreateCertificate(rand.Reader, c, by.Cert, &key.PublicKey, by.Key))
	return &Certificate{must(x509.ParseCertificate(der)), key}
}

// Pair is the certificate as TLS takes it, with what leads to its root.
func (c *Certificate) Pair(chain ...*Certificate) tls.Certificate {
	p := tls.Certificate{Certificate: [][]byte{c.Cert.Raw}, PrivateKey: c.Key, Leaf: c.Cert}
	for _, next := range chain {
		p.Certificate = append(p.Certificate, next.Cert.Raw)
	}
	return p
}

// PEM returns the certificate without its key.
func (c *Certificate) PEM() []byte { return PEM(c.Cert) }

// PEM returns certificates one behind the other.
func PEM(certs ...*x509.Certificate) (text []byte) {
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// KeyPEM returns the key in PKCS #8.
func (c *Certificate) KeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(c.Key))})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
