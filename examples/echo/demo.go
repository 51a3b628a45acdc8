//go:build !js

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"time"
)

// demo runs a service, a hop and a client in one program, on free ports of this machine.
func demo(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	var c counting
	var p proxy
	c.flags(flags)
	p.flags(flags)
	const usage = "echo [-cuts N] [-cut TIME] [-every TIME] [-show N]   or: echo serve | client | hop"
	if err := parse(flags, args, out, usage, 0, 0); err != nil {
		return err
	}
	own, ownPEM, err := certificate()
	if err != nil {
		return err
	}
	s, err := newService("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	s.behindTLS(own)
	theirs, theirsPEM, err := certificate()
	if err != nil {
		return err
	}
	front, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	lines := &lines{out: out}
	p.out, p.target, p.roots = lines, s.listener.Addr().String(), x509.NewCertPool()
	p.roots.AppendCertsFromPEM(ownPEM)
	url := "wss://" + front.Addr().String()
	fmt.Fprintf(out, "The service is at wss://%s. The client dials %s instead, where a hop\nends TLS and cuts every connection after %v. This is all that the hop sees of %q and so on:\n",
		p.target, url, p.cut, fmt.Sprintf(message, 1))

	// The client ends first, so that its close still arrives.
	hopping, stopHop := context.WithCancel(context.WithoutCancel(ctx))
	serving, stopService := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 2)
	go func() { ended <- s.run(serving) }()
	go func() {
		ended <- p.run(hopping, tls.NewListener(front, &tls.Config{Certificates: []tls.Certificate{theirs}}))
	}()
	err = c.run(ctx, lines, dialer{url, s.identity.Fingerprint(), theirsPEM})
	stopHop()
	stopService()
	return errors.Join(err, <-ended, <-ended)
}

// lines is a writer for several goroutines.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

// certificate makes a self-signed certificate for this machine, valid for a day. It also returns it as
// PEM, for those who have to trust it. A real hop has a certificate that its clients trust already: that
// of the site, or of the company.
func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "echo example"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
