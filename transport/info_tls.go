//go:build !js

package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"

	"github.com/hopseal/hopseal/internal/safetext"
)

// shownNames bounds how many names of a certificate an Info shows.
const shownNames = 16

// describeTLS returns nil for nil.
func describeTLS(s *tls.ConnectionState) *TLSInfo {
	if s == nil {
		return nil
	}
	t := &TLSInfo{
		Version:     tls.VersionName(s.Version),
		CipherSuite: tls.CipherSuiteName(s.CipherSuite),
		ALPN:        safetext.Line(s.NegotiatedProtocol, shownTarget),
		Resumed:     s.DidResume,
		ServerName:  safetext.Line(s.ServerName, shownTarget),
		ECH:         s.ECHAccepted,
	}
	if s.CurveID != 0 {
		t.Curve = s.CurveID.String()
	}
	for _, c := range s.PeerCertificates {
		t.Peer = append(t.Peer, CertificateOf(c))
	}
	t.binding = bindingOf(s)
	return t
}

// bindingOf returns the channel binding, or nil if the connection's secret binds nothing. It
// recovers from a panic of crypto/tls, for a state that no handshake made: tests and middleware
// make such states.
func bindingOf(s *tls.ConnectionState) *[32]byte {
	defer func() { recover() }()
	b, err := s.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return nil
	}
	return (*[32]byte)(b)
}

// CertificateOf describes a certificate, such as one of a [tls.CertificateVerificationError].
func CertificateOf(c *x509.Certificate) Certificate {
	d := Certificate{
		Subject:     safetext.Line(c.Subject.String(), shownTarget),
		Issuer:      safetext.Line(c.Issuer.String(), shownTarget),
		NotBefore:   c.NotBefore,
		NotAfter:    c.NotAfter,
		Fingerprint: sha256.Sum256(c.Raw),
		SPKI:        sha256.Sum256(c.RawSubjectPublicKeyInfo),
	}
	for _, name := range c.DNSNames {
		d.Names = append(d.Names, safetext.Line(name, shownTarget))
	}
	for _, ip := range c.IPAddresses {
		d.Names = append(d.Names, ip.String())
	}
	d.Names = d.Names[:min(len(d.Names), shownNames)]
	return d
}
