//go:build !js

package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"
)

// Entries have autocert's form: a private key, then the certificates.

// encodeKey returns the PEM of a key that this package made or decoded.
func encodeKey(key crypto.PrivateKey) ([]byte, error) {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
	case *rsa.PrivateKey:
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
	}
	return nil, errors.New("the key is neither ECDSA nor RSA")
}

func encodeCert(cert *tls.Certificate) ([]byte, error) {
	out, err := encodeKey(cert.PrivateKey)
	for _, der := range cert.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out, err
}

// decodeKey returns the key at the beginning of text, and the rest of text. Errors show
// nothing of either.
func decodeKey(text []byte) (crypto.Signer, []byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || !strings.Contains(block.Type, "PRIVATE KEY") {
		return nil, nil, errors.New("there is no private key in it")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, rest, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, rest, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if signer, ok := key.(crypto.Signer); ok && err == nil {
		return signer, rest, nil
	}
	return nil, nil, errors.New("the private key in it is malformed")
}

// decodeCert returns a certificate with its key and chain.
func decodeCert(text []byte) (*tls.Certificate, error) {
	key, rest, err := decodeKey(text)
	if err != nil {
		return nil, err
	}
	var chain [][]byte
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	return pair(chain, key)
}

// pair combines a chain with the key of its first certificate.
func pair(chain [][]byte, key crypto.Signer) (*tls.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, errors.New("the certificate is malformed")
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, errors.New("the key is not the certificate's")
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// checkFor returns an error unless cert is for key's host and has key's kind of key.
func checkFor(key certKey, cert *tls.Certificate) error {
	if err := cert.Leaf.VerifyHostname(key.host); err != nil {
		return errors.New("the certificate is for another name")
	}
	_, isRSA := cert.PrivateKey.(*rsa.PrivateKey)
	_, isECDSA := cert.PrivateKey.(*ecdsa.PrivateKey)
	switch {
	case key.rsa && !isRSA || !key.rsa && !isECDSA:
		return errors.New("the certificate has another kind of key")
	case life(cert) <= 0:
		return errors.New("the certificate ends before it begins")
	}
	return nil
}

func life(cert *tls.Certificate) time.Duration { return cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore) }
