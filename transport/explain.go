//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// explain makes one readable line of a failed dial. It takes no text from
// net/http and coder/websocket, which repeat the URL with its query, or from
// the server (requirements A47, A48).
func explain(ctx context.Context, u *url.URL, resp *http.Response, err error) error {
	e := &DialError{Target: shown(u)}
	if resp != nil {
		e.Status = resp.StatusCode
		e.Problem, e.permanent = explainStatus(resp)
		e.RetryAfter = retryAfter(resp.Header, time.Now())
	} else {
		e.Problem, e.permanent, e.err = explainFailure(ctx, err)
	}
	return e
}

// explainStatus is for a server that answered, and did not become a WebSocket.
func explainStatus(resp *http.Response) (problem string, permanent bool) {
	answer := "the server answered " + strconv.Itoa(resp.StatusCode)
	if text := http.StatusText(resp.StatusCode); text != "" {
		answer += " " + text
	}
	switch code := resp.StatusCode; {
	case code == http.StatusSwitchingProtocols:
		return "the server's WebSocket handshake is wrong", true
	case code >= 300 && code < 400:
		return answer + elsewhere(resp) + ": redirects are refused, dial the final address", true
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return answer + ": it wants other credentials, or refuses the origin", true
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return answer + ": try again later", false
	}
	return answer + " instead of opening a WebSocket: check the path", true
}

// elsewhere says where a redirect points, without the parts that may hold a token.
func elsewhere(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil || to.Host == "" {
		return ""
	}
	return ", pointing to " + safetext.Line(to.Scheme, 20) + "://" + safetext.Line(to.Host, shownTarget)
}

// explainFailure is for a dial that got no answer. The cause is only handed on
// where its text cannot hold a secret.
func explainFailure(ctx context.Context, err error) (problem string, permanent bool, cause error) {
	if problem, cause = explainTLS(err); problem != "" {
		return problem, true, cause
	}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host of that name: check the spelling", false, dns
	case ctx.Err() != nil:
		return explainContext(ctx.Err()), false, ctx.Err()
	case errors.As(err, &dns):
		return "the host's name could not be looked up: is there a network?", false, dns
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "the proxy that HTTPS_PROXY names did not answer", false, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is the server running, and is the port right?", false, op
	case errors.As(err, &op):
		return op.Op + " failed: " + safetext.Line(op.Err.Error(), shownTarget), false, op
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer", false, nil
	}
	return "what answers there is not a WebSocket server", false, nil
}

// explainTLS is for a dial that failed in TLS; else it returns "".
func explainTLS(err error) (problem string, cause error) {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "the server does not speak TLS on this port: is it the right port, or should the URL start with ws://?", nil
	case errors.As(err, &cert):
		return explainCertificate(cert.Err), cert
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		return "TLS failed: " + safetext.Line(op.Err.Error(), shownTarget), op
	}
	return "", nil
}

func explainCertificate(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return "the server's certificate comes from an authority unknown here: add its root to TLSConfig.RootCAs, or use a public one"
	case errors.As(err, &host):
		return "the server's certificate is for another name: dial the name that it was issued for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not valid yet: renew it, and check both clocks"
	}
	return "the server's certificate is not valid"
}
