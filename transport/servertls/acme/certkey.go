//go:build !js

package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"slices"
)

// A certKey identifies a certificate. Its String is the certificate's name in the cache,
// which is autocert's, so that autocert's caches can be taken over.
type certKey struct {
	host string // in ASCII and lower case
	rsa  bool   // for clients that do not know ECDSA
}

func (k certKey) String() string {
	if k.rsa {
		return k.host + "+rsa"
	}
	return k.host
}

func (k certKey) keyType() string {
	if k.rsa {
		return "RSA"
	}
	return "ECDSA"
}

// rsaBits is the size of new RSA keys.
const rsaBits = 2048

func (k certKey) newKey() (crypto.Signer, error) {
	if k.rsa {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// ecdsaSuites are the TLS 1.2 suites of servertls that need an ECDSA certificate.
var ecdsaSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

// knowsECDSA reports whether a client accepts a certificate with a P-256 key. A hello
// without any lists, such as one that a program made, counts as yes: nearly all clients
// know ECDSA.
func knowsECDSA(hello *tls.ClientHelloInfo) bool {
	if len(hello.CipherSuites) == 0 && len(hello.SignatureSchemes) == 0 {
		return true
	}
	if !slices.Contains(hello.SignatureSchemes, tls.ECDSAWithP256AndSHA256) && hello.SignatureSchemes != nil {
		return false
	}
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return true
	}
	curve := hello.SupportedCurves == nil || slices.Contains(hello.SupportedCurves, tls.CurveP256)
	return curve && slices.ContainsFunc(hello.CipherSuites, func(s uint16) bool { return slices.Contains(ecdsaSuites, s) })
}
