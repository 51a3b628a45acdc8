//go:build unix

package fronts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// holds is for how long a certificate is good: nobody warns of its end yet.
const holds = 60 * 24 * time.Hour

// A Cert is a certificate for localhost, of an authority of its own.
type Cert struct {
	RootPEM []byte
	Pair    tls.Certificate

	certPEM, keyPEM []byte
	root            *x509.Certificate
	rootKey         *ecdsa.PrivateKey
}

// NewCert makes a certificate that holds for long enough.
func NewCert() *Cert {
	root, rootKey := issue("root", true, holds, nil, nil)
	return newCert(root, rootKey, holds)
}

// Expired returns a certificate of the same authority whose time is over.
func (c *Cert) Expired() *Cert { return newCert(c.root, c.rootKey, -time.Hour) }

func newCert(root *x509.Certificate, rootKey *ecdsa.PrivateKey, left time.Duration) *Cert {
	leaf, key := issue("localhost", false, left, root, rootKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	c := &Cert{RootPEM: pemOf("CERTIFICATE", root.Raw), certPEM: pemOf("CERTIFICATE", leaf.Raw), keyPEM: pemOf("PRIVATE KEY", der), root: root, rootKey: rootKey}
	c.Pair, err = tls.X509KeyPair(c.certPEM, c.keyPEM)
	must(err)
	return c
}

func issue(name string, authority bool, left time.Duration, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(left),
		IsCA: authority, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if authority {
		template.KeyUsage, template.ExtKeyUsage, template.DNSNames = x509.KeyUsageCertSign, nil, nil
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return cert, key
}

// file writes a part of the certificate into a file and returns its name.
func (c *Cert) file(dir, name string) string {
	text := map[string][]byte{"cert.pem": c.certPEM, "key.pem": c.keyPEM, "both.pem": append(append([]byte{}, c.certPEM...), c.keyPEM...)}[name]
	file := filepath.Join(dir, name)
	must(os.WriteFile(file, text, 0o644)) // of a test
	return file
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
