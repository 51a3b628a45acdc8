//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
)

// explainTLS explains a failed TLS handshake.
func explainTLS(ctx context.Context, conf *tlsConfig, err error) *DialError {
	var cert *tls.CertificateVerificationError
	var ech *tls.ECHRejectionError
	var record tls.RecordHeaderError
	var weak weakness
	switch {
	case errors.Is(err, ErrPin):
		return failure("none of the pinned keys is in the server's certificate chain: something on the way terminates TLS, or the server has a new key", true, ErrPin)
	case errors.As(err, &weak):
		return failure(weak.Error(), true, nil)
	case errors.As(err, &cert) && len(cert.UnverifiedCertificates) > 0: // crypto/tls has some always
		return failure(explainCertificate(cert), true, cert)
	case errors.As(err, &ech):
		return failure("the server could not decrypt its name (ECH): take the new config list from the cause of this error, or look the DNS record HTTPS up again", true, ech)
	case errors.As(err, &record):
		return failure("the server does not speak TLS on this port: is it the right port, or should the URL start with ws://?", true, nil)
	case alertOf(err) != 0:
		return explainAlert(conf, err)
	}
	if e := explainTimeout(ctx, err, " to the TLS handshake: is it a TLS server, and does a firewall let TLS through?"); e != nil {
		return e
	}
	if closed(err) {
		return failure("the connection was cut in the TLS handshake: is it a TLS server, and does a firewall let this name through?", false, nil)
	}
	text := safetext.Line(strings.TrimPrefix(err.Error(), "tls: "), shownTarget)
	if strings.Contains(text, "unsupported protocol version") {
		return failure(oldTLS, true, nil)
	}
	return failure("TLS failed: "+text, cert != nil, nil) // without cert, somebody on the way may have changed a bit: not permanent
}

const oldTLS = "the server speaks no TLS as new as 1.2, which is the oldest that is safe: update it"

// These alerts of RFC 8446, section 6, mean something to people.
const (
	alertHandshakeFailure    = 40
	alertBadCertificate      = 42
	alertUnsupportedCert     = 43
	alertRevokedCertificate  = 44
	alertExpiredCertificate  = 45
	alertUnknownCertificate  = 46
	alertUnknownCA           = 48
	alertAccessDenied        = 49
	alertProtocolVersion     = 70
	alertInsufficientSecrets = 71
	alertInternalError       = 80
	alertUnrecognizedName    = 112
	alertCertificateRequired = 116
)

// alertOf returns the alert by which the peer ended TLS, or 0. The type is private to crypto/tls,
// hence reflect.
func alertOf(err error) uint64 {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return v.Uint()
	}
	return 0
}

func explainAlert(conf *tlsConfig, err error) *DialError {
	switch alertOf(err) {
	case alertProtocolVersion:
		return failure(oldTLS, true, remote(err))
	case alertHandshakeFailure, alertInsufficientSecrets:
		if !conf.asked {
			return failure("this end and the server have no cipher suite, key exchange or signature in common: update the older one", true, remote(err))
		}
	case alertUnrecognizedName:
		return failure("the server has no certificate for this name: check the address", true, remote(err))
	case alertInternalError:
		return failure("the server failed in the TLS handshake: try again later", false, remote(err))
	}
	return explainClientCertificate(conf, err)
}

// explainClientCertificate explains a server that does not accept who the client is. A server may
// say so in the handshake or, with TLS 1.3, after it. If it only closes the connection, there may
// be another reason, so another dial is worth it.
func explainClientCertificate(conf *tlsConfig, err error) *DialError {
	e := explainRefusedClient(conf, err)
	e.permanent = alertOf(err) != 0
	return e
}

func explainRefusedClient(conf *tlsConfig, err error) *DialError {
	alert := alertOf(err)
	switch {
	case !conf.offers && (conf.asked || alert == alertCertificateRequired):
		return failure("the server wants a client certificate: set TLS.CertFile and TLS.KeyFile", true, remote(err))
	case conf.asked && !conf.sent:
		return failure("the server wants a client certificate from another authority, or of another kind, than the one there is", true, remote(err))
	case alert == alertExpiredCertificate && conf.sent:
		return failure("the server says that the client certificate has expired: renew it, and check both clocks", true, remote(err))
	case alert == alertRevokedCertificate && conf.sent:
		return failure("the server says that the client certificate is revoked", true, remote(err))
	case alert == alertUnknownCA && conf.sent:
		return failure("the server does not know the authority of the client certificate", true, remote(err))
	case conf.sent && (alert == 0 || alert >= alertBadCertificate && alert <= alertAccessDenied):
		return failure("the server refuses the client certificate", true, remote(err))
	}
	return failure("TLS failed: the server says "+safetext.Quote(strings.TrimPrefix(remote(err).Error(), "remote error: tls: "), shownTarget), true, remote(err))
}

// remote returns the part of an error that holds the peer's alert. Its text is from crypto/tls.
func remote(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return nil
}
