//go:build !js

package hostile

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/hopseal/hopseal/internal/pki"
)

// faults are what can be wrong with a certificate for 127.0.0.1, each with the change to the
// certificate. The last two change nothing: certificates picks another signer for them.
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

// certificates returns a root, and a certificate for each fault.
func certificates() (roots []byte, leaves map[string]*tls.Certificate) {
	ca, stranger := pki.Root(), pki.Root()
	leaves = map[string]*tls.Certificate{}
	for name, change := range faults {
		by, special := map[string]*pki.Certificate{"unknown CA": stranger, "self-signed": nil}[name]
		if !special {
			by = ca
		}
		pair := pki.Issue("front", by, change).Pair()
		leaves[name] = &pair
	}
	return ca.PEM(), leaves
}
