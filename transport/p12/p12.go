//go:build !js

// Package p12 reads client certificates from PKCS#12 files (RFC 7292), whose names end in
// .p12 or .pfx, for transport.TLSOptions. [Load] reads a file, and [Parse] reads bytes that a
// program already has.
//
// The format's protection is weak: guard the file as if it had no password. The file itself
// says how much work deriving the key from the password takes, so do not read a file that a
// stranger made. If you have the choice, use PEM files, which a dial reads again when they
// are renewed.
//
// Package p12 is a module of its own, so that only programs that import it depend on a
// library for the format.
package p12

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"software.sslmate.com/src/go-pkcs12"
)

// MaxSize is the largest file that Load and Parse accept, in bytes.
const MaxSize = 1 << 20

// ErrPassword is wrapped by the error for a wrong password or for a file that was changed:
// the format does not tell the two apart.
var ErrPassword = errors.New("the password is wrong")

// Load reads a file with one private key, its certificate and, optionally, the certificates
// that lead to its root.
func Load(name, password string) (tls.Certificate, error) {
	f, err := os.Open(name)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("p12: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("p12: %w", err)
	}
	return Parse(data, password)
}

// Parse is [Load] for bytes. Its errors show neither the bytes nor the password.
func Parse(data []byte, password string) (tls.Certificate, error) {
	if len(data) > MaxSize {
		return tls.Certificate{}, errors.New("p12: the file is larger than 1 MiB")
	}
	key, cert, others, err := pkcs12.DecodeChain(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return tls.Certificate{}, fmt.Errorf("p12: %w", ErrPassword)
	case err != nil:
		return tls.Certificate{}, errors.New("p12: this is no PKCS#12 file with one key and its certificate")
	}
	return match(key, append([]*x509.Certificate{cert}, others...))
}

// match puts the key's own certificate first, wherever it stood. It leaves out the root,
// because a verifier needs its own copy.
func match(key any, certs []*x509.Certificate) (tls.Certificate, error) {
	pair := tls.Certificate{PrivateKey: key}
	for _, c := range certs {
		switch {
		case pair.Leaf == nil && belongs(key, c):
			pair.Leaf = c
			pair.Certificate = append([][]byte{c.Raw}, pair.Certificate...)
		case !bytes.Equal(c.RawSubject, c.RawIssuer):
			pair.Certificate = append(pair.Certificate, c.Raw)
		}
	}
	if pair.Leaf == nil {
		return tls.Certificate{}, errors.New("p12: none of the certificates is for the key")
	}
	return pair, nil
}

func belongs(key any, c *x509.Certificate) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}
