//go:build !js

package servertls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/hopseal/hopseal/internal/safetext"
)

// checkChain reports a file whose certificates do not lead from the server's to a
// root: none in it has signed the server's, and no root of this machine has.
//
// A root that only clients know cannot be told from an intermediate that is missing,
// so this is no reason to refuse a first certificate.
func checkChain(cert *tls.Certificate) error {
	leaf := cert.Leaf
	if bytes.Equal(leaf.RawSubject, leaf.RawIssuer) && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil {
		return nil // signed by itself
	}
	for _, raw := range cert.Certificate[1:] {
		if issuer, err := x509.ParseCertificate(raw); err == nil && leaf.CheckSignatureFrom(issuer) == nil {
			return nil
		}
	}
	if roots, err := x509.SystemCertPool(); err == nil {
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err == nil {
			return nil
		}
	}
	return errors.New("the file of the certificate lacks the certificate of its issuer, " + safetext.Quote(leaf.Issuer.String(), shown) +
		": give fullchain.pem rather than cert.pem, or put the issuer's certificate behind the server's")
}

// likelyMissed reports whether the issuer is an intermediate authority rather than a
// private root: a public authority says where its certificate is, and whoever lists
// others meant to list this one.
func likelyMissed(cert *tls.Certificate) bool {
	return len(cert.Certificate) > 1 || len(cert.Leaf.IssuingCertificateURL) > 0
}
