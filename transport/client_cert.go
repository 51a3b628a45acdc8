//go:build !js

package transport

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// maxCertificate bounds the header Client-Cert, in bytes.
const maxCertificate = 16 << 10

// certificateOf returns the certificate that the client proved to have, or nil. If a hop ends the
// client's TLS, the certificate on this socket is the hop's, and the client's is in the header
// Client-Cert (RFC 9440, section 2.2). That header counts only if trust says that the hop writes
// it.
func certificateOf(r *http.Request, from hops.Route, trust bool) (*x509.Certificate, *refusal) {
	switch {
	case !from.Hop && !hops.TunnelOf(r).Secure && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return r.TLS.VerifiedChains[0][0], nil
	case !from.Hop || !trust:
		return nil, nil
	}
	sent := r.Header.Values("Client-Cert")
	if len(sent) == 0 {
		return nil, nil
	}
	cert, ok := parseClientCert(sent[0])
	if !ok || len(sent) > 1 {
		return nil, &refusal{status: http.StatusBadRequest, clientText: "the credential in this request cannot be read", cause: ErrUnauthorized,
			problem: "a trusted hop sent a header Client-Cert that is not of the form of RFC 9440"}
	}
	return cert, nil
}

// parseClientCert reads a byte sequence (RFC 9651, section 3.3.5) of DER.
func parseClientCert(s string) (*x509.Certificate, bool) {
	if len(s) > maxCertificate || len(s) < 2 || !strings.HasPrefix(s, ":") || !strings.HasSuffix(s, ":") {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(s[1 : len(s)-1])
	if err != nil {
		return nil, false
	}
	cert, err := x509.ParseCertificate(der)
	return cert, err == nil
}
