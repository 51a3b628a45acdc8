//go:build !js

package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// explainCertificate explains a server that did not prove its name.
func explainCertificate(e *tls.CertificateVerificationError) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(e.Err, &authority):
		return explainAuthority(e.UnverifiedCertificates)
	case errors.As(e.Err, &host):
		return "the server's certificate is for another name: dial the name that it was issued for"
	case errors.As(e.Err, &invalid):
		return explainInvalid(e.UnverifiedCertificates, invalid)
	case errors.As(e.Err, &x509.UnhandledCriticalExtension{}):
		return "a certificate in the server's chain demands something that this version does not know (a critical extension): have it issued without that"
	}
	return "the server's certificate is not valid"
}

// explainInvalid explains a chain that leads to a trusted root and breaks its rules (RFC 5280,
// section 6).
func explainInvalid(sent []*x509.Certificate, invalid x509.CertificateInvalidError) string {
	switch invalid.Reason {
	case x509.Expired:
		return explainDates(sent, invalid.Cert)
	case x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
		return explainUsage(sent[0])
	case x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.TooManyConstraints:
		return "the authority of the server's certificate may not issue any for this name (name constraints): have it issued by another one"
	case x509.TooManyIntermediates:
		return "the server's chain is longer than one of its authorities allows (path length): have the certificate issued by an authority above"
	case x509.NotAuthorizedToSign:
		return notAnAuthority
	}
	return "the server's certificate is not valid"
}

// explainUsage explains a chain that is not for servers (RFC 5280, section 4.2.1.12).
func explainUsage(leaf *x509.Certificate) string {
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return "the server's certificate is not for servers: have it issued with the extended key usage serverAuth"
	}
	return "an authority of the server's certificate may not issue any for servers (extended key usage): have it issued by another one"
}

const notAnAuthority = "a certificate in the server's chain was issued by one that is no authority: have it issued by a CA (basic constraints CA:TRUE, key usage keyCertSign)"

func explainAuthority(sent []*x509.Certificate) string {
	if problem := brokenLink(sent); problem != "" {
		return problem
	}
	switch leaf := sent[0]; {
	case leaf.CheckSignatureFrom(leaf) == nil || selfIssued(leaf):
		return "the server's certificate is self-signed: give it one of an authority, or trust this one with TLS.RootsPEM"
	case len(sent) == 1:
		return "the server's certificate comes from an authority unknown here, or the server leaves out the intermediate certificate that leads to one: configure its full chain, or add a private root to TLS.RootsPEM"
	}
	return "the server's certificate comes from an authority unknown here: add its root to TLS.RootsPEM, or use a public one"
}

func explainDates(sent []*x509.Certificate, bad *x509.Certificate) string {
	whose := "the server's certificate"
	if bad == nil {
		bad = sent[0]
	}
	if !bad.Equal(sent[0]) {
		whose = "a certificate in the server's chain"
	}
	if time.Now().Before(bad.NotBefore) {
		return whose + " is not valid before " + bad.NotBefore.UTC().Format(time.DateOnly) + ": check the clocks of this machine and of the one that issued it"
	}
	return whose + " has expired on " + bad.NotAfter.UTC().Format(time.DateOnly) + ": renew it, and check this machine's clock"
}

// brokenLink returns why one of the chain's signatures does not count, or "". The verifier reports
// such a chain as one from an unknown authority.
func brokenLink(sent []*x509.Certificate) string {
	for _, c := range sent {
		if selfIssued(c) {
			continue
		}
		if name := forgeable[c.SignatureAlgorithm]; name != "" {
			return "a certificate in the server's chain is signed with " + name + ", which can be forged: have it issued anew, with SHA-256"
		}
		for _, parent := range sent {
			if string(parent.RawSubject) == string(c.RawIssuer) && errors.As(c.CheckSignatureFrom(parent), &x509.ConstraintViolationError{}) {
				return notAnAuthority
			}
		}
	}
	return ""
}

func selfIssued(c *x509.Certificate) bool { return string(c.RawIssuer) == string(c.RawSubject) }

// forgeable are the signatures that crypto/x509 no longer accepts.
var forgeable = map[x509.SignatureAlgorithm]string{
	x509.MD5WithRSA: "MD5", x509.SHA1WithRSA: "SHA-1", x509.DSAWithSHA1: "SHA-1", x509.ECDSAWithSHA1: "SHA-1",
}
