//go:build !js

package servertls

import (
	"crypto/tls"
	"errors"
	"slices"

	"github.com/hopseal/hopseal/internal/safetext"
)

// ErrUnknownName is the error that Options.GetCertificate returns, or wraps, for a name
// that this server does not serve. The server then sends the alert unrecognized_name,
// so that the client does not try again. After any other error the client may try again.
var ErrUnknownName = errors.New("this server has no certificate for the name, and gets none")

// suites are the cipher suites of TLS 1.2 that give forward secrecy and are AEADs, as
// RFC 9325, section 4.2 recommends. All suites of TLS 1.3 do both.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// TLSConfig returns a new configuration for a server, such as an http.Server. It
// follows the files until Close, and then stays at what was loaded last.
//
// It allows TLS 1.2 and 1.3. The key exchange is the one that crypto/tls prefers:
// X25519MLKEM768 where the client knows it.
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

// A configs holds the configurations that handshakes use. It never changes; publish
// replaces it.
type configs struct {
	tls13 *tls.Config
	tls12 *tls.Config // for clients without TLS 1.3
	acme  *tls.Config // for authorities that check who controls the name; nil without GetCertificate
	pairs []*pair
}

// acmeProtocol is the protocol that an authority asks for (RFC 8737, section 3).
const acmeProtocol = "acme-tls/1"

// configFor returns the configuration for one whole handshake, so that no handshake
// sees half of a change. It never waits.
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

// publish makes what is loaded the configuration of the next handshakes.
func (w *Watcher) publish() {
	c := &configs{tls13: w.build(), tls12: w.build(), pairs: slices.Clone(w.pairs)}
	if len(w.secrets) > 0 {
		c.tls13.SetSessionTicketKeys(ticketKeys(w.secrets, w.opts.TicketPeriod, w.period))
		// A ticket of TLS 1.2 holds the secret of the session itself: whoever gets the
		// shared secret later could read recorded sessions. TLS 1.3 makes a new key
		// exchange even with a ticket.
		c.tls12.SessionTicketsDisabled = true
	}
	if get := w.opts.GetCertificate; get != nil {
		c.tls13.GetCertificate = c.choose(w)
		c.tls12.GetCertificate = c.tls13.GetCertificate
		// GetCertificate decides alone: with certificates here, crypto/tls would show
		// one of them where it should refuse the name.
		c.tls13.Certificates, c.tls12.Certificates = nil, nil
		c.acme = w.forAuthorities(get)
	}
	w.current.Store(c)
}

// forAuthorities returns the configuration for an authority's check. An authority shows no
// client certificate. Where Options require one, VerifyConnection refuses the connection
// after the authority has seen the server's certificate, so nobody gets in this way. Only
// TLS 1.3 allows that order.
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

// choose returns the function that chooses a certificate: one of the files' pairs, or one
// from Options.GetCertificate.
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
