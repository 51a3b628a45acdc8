//go:build !js

package servertls

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// shown bounds foreign text in errors, in characters.
const shown = 200

// minRSA is the smallest RSA key, in bits, that authorities still certify.
const minRSA = 2048

// parsePair returns a certificate that clients accept now. Its errors never show a
// key.
func parsePair(cert, key []byte, names []string, now time.Time) (*tls.Certificate, error) {
	if err := errors.Join(whole("certificate", cert), whole("key", key)); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New(safetext.Line(strings.TrimPrefix(err.Error(), "tls: "), shown))
	}
	return &pair, checkLeaf(pair.Leaf, names, now)
}

// whole refuses a file that ends within a PEM block. Parsers ignore the incomplete
// block, so a chain without its end would pass here, and every client would refuse it.
func whole(what string, b []byte) error {
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(b) {
		b = rest
	}
	if bytes.Contains(b, []byte("-----BEGIN")) {
		return fmt.Errorf("the file of the %s ends within a PEM block: it has not been written whole", what)
	}
	return nil
}

// checkLeaf reports whatever would make every client refuse the certificate.
func checkLeaf(leaf *x509.Certificate, names []string, now time.Time) error {
	switch key, _ := leaf.PublicKey.(*rsa.PublicKey); {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate expired on %s: renew it", day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s, and here it is %s: check this machine's clock", day(leaf.NotBefore), day(now))
	case !forServers(leaf):
		return errors.New("the certificate is not for servers: its extended key usage lacks serverAuth")
	case key != nil && key.N.BitLen() < minRSA:
		return fmt.Errorf("the certificate's RSA key has %d bits: use %d or more, or ECDSA", key.N.BitLen(), minRSA)
	}
	for _, name := range names {
		if leaf.VerifyHostname(name) != nil {
			return fmt.Errorf("the certificate is for %s, not for %s", nameList(leaf), safetext.Line(name, shown))
		}
	}
	return nil
}

// forServers reports whether the certificate may serve TLS (RFC 5280, section
// 4.2.1.12).
func forServers(leaf *x509.Certificate) bool {
	return len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// nameOf returns the name by which people know a certificate.
func nameOf(leaf *x509.Certificate) string {
	switch {
	case len(leaf.DNSNames) > 0:
		return safetext.Line(leaf.DNSNames[0], shown)
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return safetext.Line(leaf.Subject.CommonName, shown)
}

// nameList returns all names of a certificate, cut to shown characters.
func nameList(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name that counts (a common name does not)"
	}
	return safetext.Line(strings.Join(names, ", "), shown)
}

// parseCAs reads a PEM file of authorities' certificates.
func parseCAs(b []byte) (*x509.CertPool, error) {
	if err := whole("authorities", b); err != nil {
		return nil, err
	}
	pool, found := x509.NewCertPool(), false
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("a PEM block is a " + safetext.Quote(block.Type, shown) + ": only certificates belong there")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a certificate is malformed: " + safetext.Line(err.Error(), shown))
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, errors.New("there is no certificate in it")
	}
	return pool, nil
}
