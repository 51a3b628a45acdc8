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

// A certKey names a certificate. In the cache it has the name that autocert gives it,
// so that a cache of autocert's can be taken over.
type certKey struct {
	host string // in ASCII and small letters
	rsa  bool   // for clients that know no ECDSA
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

// ecdsaSuites are those of servertls for TLS 1.2 that need an ECDSA certificate.
var ecdsaSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

// knowsECDSA reports whether a client takes a certificate with a key on P-256. Whoever
// says nothing about itself, as a hello that a program makes, gets that one too: it is
// what nearly all clients know.
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
