//go:build !js

package servertls

import (
	"crypto/tls"
	"errors"
	"slices"

	"github.com/hopseal/hopseal/internal/safetext"
)

// ErrUnknownName is what Options.GetCertificate returns, or wraps, for a name that this
// server does not serve. The client is told unrecognized_name, so that it does not
// try again; after any other error it may.
var ErrUnknownName = errors.New("this server has no certificate for the name, and gets none")

// suites are those of TLS 1.2 that give forward secrecy and are AEADs, which is
// what RFC 9325, section 4.2 recommends. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// TLSConfig returns a new configuration for a server, such as http.Server's. It
// follows the files until Close, and afterwards stays at what was loaded last.
//
// TLS is 1.2 at least. Key exchange is what crypto/tls prefers, X25519MLKEM768
// where the client knows it.
func (w *Watcher) TLSConfig() *tls.Config {
	c := newConfig(w.opts.HTTP2)
	c.GetConfigForClient = w.configFor
	return c
}

func newConfig(http2 bool) *tls.Config {
	protocols := []string{"http/1.1"}
	if http2 {
		protocols = []string{"h2", "http/1.1"}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: slices.Clone(suites), NextProtos: protocols}
}

// configs are what handshakes use. They do not change; new ones take their place.
type configs struct {
	tls13 *tls.Config
	tls12 *tls.Config // for clients that know no better
	acme  *tls.Config // for authorities that check who has the name
	pairs []*pair
}

// acmeProtocol is that of RFC 8737, section 3.
const acmeProtocol = "acme-tls/1"

// configFor never waits. The configuration that it returns is used for the whole
// handshake, so that no handshake sees half of a change.
func (w *Watcher) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := w.current.Load()
	if c.acme != nil && slices.Equal(hello.SupportedProtos, []string{acmeProtocol}) {
		return c.acme, nil
	}
	if !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return c.tls12, nil
	}
	return c.tls13, nil
}

// publish makes what is loaded the next handshake's configuration.
func (w *Watcher) publish() {
	c := &configs{tls13: w.build(), tls12: w.build(), pairs: slices.Clone(w.pairs)}
	if len(w.secrets) > 0 {
		c.tls13.SetSessionTicketKeys(ticketKeys(w.secrets, w.opts.TicketPeriod, w.period))
		// A ticket of TLS 1.2 holds the secret of the session itself: whoever had the
		// shared secret later could read what was recorded. With TLS 1.3 a new key
		// exchange is made all the same.
		c.tls12.SessionTicketsDisabled = true
	}
	if get := w.opts.GetCertificate; get != nil {
		c.tls13.GetCertificate = c.choose(w)
		c.tls12.GetCertificate = c.tls13.GetCertificate
		// It has the last word: with certificates here crypto/tls would show one of
		// them where it should refuse the name.
		c.tls13.Certificates, c.tls12.Certificates = nil, nil
		c.acme = w.forAuthorities(get)
	}
	w.current.Store(c)
}

// forAuthorities returns what an authority meets. It shows no client certificate, so where
// those are required nobody gets beyond the handshake this way: it is refused when the
// authority has seen what it wants, which TLS 1.3 alone allows.
func (w *Watcher) forAuthorities(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acmeProtocol}, SessionTicketsDisabled: true, GetCertificate: get}
	if w.opts.clientAuth() == tls.RequireAndVerifyClientCert {
		c.MinVersion = tls.VersionTLS13
		c.VerifyConnection = func(tls.ConnectionState) error {
			return errors.New("servertls: an authority has checked the name, and gets no connection: it shows no client certificate")
		}
	}
	return c
}

// choose returns how a certificate is chosen where files do not have all.
func (c *configs) choose(w *Watcher) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		for _, p := range c.pairs {
			if hello.SupportsCertificate(p.cert) == nil {
				return p.cert, nil
			}
		}
		if hello.ServerName == "" && len(c.pairs) > 0 {
			return c.pairs[0].cert, nil
		}
		turn := w.shown.turn()
		cert, err := w.opts.GetCertificate(hello)
		switch {
		case errors.Is(err, ErrUnknownName):
			w.opts.Logger.Debug("servertls: a client asked for a name without a certificate", "error", safetext.Line(err.Error(), shown))
			return nil, nil // which crypto/tls answers with unrecognized_name
		case err != nil:
			return nil, err
		case cert != nil:
			w.shown.add(hello, turn, cert)
			return cert, nil
		case len(c.pairs) > 0:
			return c.pairs[0].cert, nil
		}
		return nil, nil
	}
}

func (w *Watcher) build() *tls.Config {
	c := newConfig(w.opts.HTTP2)
	for _, p := range w.pairs {
		c.Certificates = append(c.Certificates, *p.cert)
	}
	c.ClientCAs, c.ClientAuth = w.clientCAs, w.opts.clientAuth()
	return c
}

func (o *Options) clientAuth() tls.ClientAuthType {
	switch {
	case o.ClientCAs == "":
		return tls.NoClientCert
	case o.ClientCertOptional:
		return tls.VerifyClientCertIfGiven
	}
	return tls.RequireAndVerifyClientCert
}
