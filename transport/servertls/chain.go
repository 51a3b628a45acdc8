//go:build !js

package servertls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/hopseal/hopseal/internal/safetext"
)

// checkChain returns an error if neither another certificate in the file nor a root of
// this machine signed the server's certificate.
//
// The issuer may be a root that only clients know, rather than a missing intermediate.
// The server cannot tell them apart, so it does not refuse a first certificate for this.
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

// likelyMissed reports whether the issuer is probably an intermediate authority rather
// than a private root: a public authority says where its certificate is, and a file that
// lists other certificates was meant to list this one too.
func likelyMissed(cert *tls.Certificate) bool {
	return len(cert.Certificate) > 1 || len(cert.Leaf.IssuingCertificateURL) > 0
}
