package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"
)

// mutualTLS is two ends whose certificates an authority has signed, as a root has
// signed identities.
type mutualTLS struct{ config *tls.Config }

func newMutualTLS() (mutualTLS, error) {
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caPublic, caPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		return mutualTLS{}, err
	}
	ca, _, err := certify(authority, authority, caPublic, caPrivate)
	if err != nil {
		return mutualTLS{}, err
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return mutualTLS{}, err
	}
	_, raw, err := certify(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"end"}, NotAfter: time.Now().Add(time.Hour)}, ca, public, caPrivate)
	if err != nil {
		return mutualTLS{}, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	return mutualTLS{&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: private}},
		RootCAs:      pool, ClientCAs: pool, ServerName: "end",
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		ClientAuth: tls.RequireAndVerifyClientCert, SessionTicketsDisabled: true,
	}}, nil
}

func certify(c, parent *x509.Certificate, public ed25519.PublicKey, private ed25519.PrivateKey) (*x509.Certificate, []byte, error) {
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, public, private)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	return cert, raw, err
}

func (m mutualTLS) meet() error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(far, m.config).Handshake() }()
	if err := tls.Client(near, m.config).Handshake(); err != nil {
		return err
	}
	return <-done
}
