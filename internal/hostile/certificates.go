//go:build !js

package hostile

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
	"testing"
	"time"
)

// faults are what can be wrong with a certificate for 127.0.0.1.
var faults = map[string]func(*x509.Certificate){
	"":              func(*x509.Certificate) {},
	"expired":       func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
	"not yet valid": func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) },
	"other name":    func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"login.example"}, nil },
	"wrong use":     func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
	"self-signed":   func(*x509.Certificate) {},
	"unknown CA":    func(*x509.Certificate) {},
}

// CertificateFaults returns what can be wrong with a [Front]'s certificate.
func CertificateFaults() []string {
	return []string{"expired", "not yet valid", "other name", "wrong use", "self-signed", "unknown CA"}
}

// certificates returns a root and a certificate for each fault.
func certificates(t testing.TB) (roots []byte, leaves map[string]*tls.Certificate) {
	t.Helper()
	ca, stranger := issue(t, nil, asRoot), issue(t, nil, asRoot)
	leaves = map[string]*tls.Certificate{}
	for name, change := range faults {
		by := map[string]*tls.Certificate{"unknown CA": stranger, "self-signed": nil}
		issuer, special := by[name]
		if !special {
			issuer = ca
		}
		leaves[name] = issue(t, issuer, change)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw}), leaves
}

func asRoot(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// issue makes a certificate, self-signed without an issuer.
func issue(t testing.TB, issuer *tls.Certificate, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "front"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(c)
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
