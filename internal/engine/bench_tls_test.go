//go:build !js

package engine

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// BenchmarkHandshakeTLS times both ends' work for a handshake, in turn with mutual
// TLS 1.3 (X25519MLKEM768, Ed25519, no resumption) over a pipe.
func BenchmarkHandshakeTLS(b *testing.B) {
	client, server := tlsConfigs(b)
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		c, s := must(NewClient(configFor(alice), epoch)), must(NewServer(configFor(bob), epoch))
		mustMeet(b, &end{h: c, sign: signWith(alice), now: epoch}, &end{h: s, sign: signWith(bob), now: epoch})
		ours += time.Since(start)
		start = time.Now()
		meetTLS(b, client, server)
		theirs += time.Since(start)
	}
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us/session")
	b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "us/tls")
	b.ReportMetric(float64(ours)/float64(theirs), "x-tls")
	b.ReportMetric(0, "ns/op")
}

// tlsConfigs is for ends whose certificates an authority has signed, as a root has
// signed our identities.
func tlsConfigs(b *testing.B) (client, server *tls.Config) {
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"end"}, NotAfter: time.Now().Add(time.Hour)}
	authority := template
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	caPublic, caPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	ca := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &authority, &authority, caPublic, caPrivate))))
	raw := must(x509.CreateCertificate(rand.Reader, &template, ca, public, caPrivate))
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	both := tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: private}},
		RootCAs:                pool,
		ClientCAs:              pool,
		ServerName:             "end",
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true,
	}
	return both.Clone(), both.Clone()
}

// meetTLS runs both ends in turn on one processor as far as a pipe lets them, so
// that time is work.
func meetTLS(b *testing.B, client, server *tls.Config) {
	x, y := net.Pipe()
	defer x.Close()
	defer y.Close()
	done := make(chan error, 1)
	s := tls.Server(y, server)
	go func() { done <- s.Handshake() }()
	if err := tls.Client(x, client).Handshake(); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
