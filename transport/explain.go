//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// The functions below explain a failed phase in one readable line. They take no text from
// net/http and coder/websocket, which repeat the URL with its query, or from the
// server (requirements A47, A48). They wrap a cause only if its text cannot
// hold a secret.

// explainTimeout explains a phase whose context ended; it returns nil if the phase failed by
// itself. what says what did not come in time. A socket may notice the end before its context does.
func explainTimeout(ctx context.Context, err error, what string) *DialError {
	var network net.Error
	switch {
	case ctx.Err() == context.Canceled:
		return failure("the dial was cancelled", false, context.Canceled)
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return failure("no answer in time"+what, false, context.DeadlineExceeded)
	}
	return nil
}

func uitoa(n uint16) string { return strconv.Itoa(int(n)) }

// hop names the proxy in front of a problem, if there is a proxy.
func (d *dialer) hop(problem string) string {
	if d.proxy == nil {
		return problem
	}
	return "the proxy " + d.info.Proxy + ": " + problem
}

func (d *dialer) explainResolve(ctx context.Context, err error) *DialError {
	var dns *net.DNSError
	found := errors.As(err, &dns)
	if found && dns.IsNotFound {
		return failure(d.hop("there is no host of that name: check the spelling"), false, dns)
	}
	if e := explainTimeout(ctx, err, " from the name server: is there a network?"); e != nil {
		e.Problem = d.hop(e.Problem)
		return e
	}
	if found {
		return failure(d.hop("the host's name could not be looked up: is there a network?"), false, dns)
	}
	return failure(d.hop("the host has no address of the kind that DialOptions.Network wants"), true, nil)
}

func (d *dialer) explainConnect(ctx context.Context, err error) *DialError {
	var op *net.OpError
	isOp := errors.As(err, &op)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return failure(d.hop("nothing listens there: is the server running, and is the port right?"), false, op)
	}
	if e := explainTimeout(ctx, err, ": check the address, and any firewall"); e != nil {
		e.Problem = d.hop(e.Problem)
		return e
	}
	switch {
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return failure(d.hop("there is no way to that address: is there a network, and does it carry IPv6 if the address is one?"), false, op)
	case isOp:
		return failure(d.hop(op.Op+" failed: "+safetext.Line(op.Err.Error(), shownTarget)), false, op)
	}
	return failure(d.hop("the connection failed"), false, nil)
}

// explainProxy explains a proxy that gave no answer, or an unreadable one.
func (d *dialer) explainProxy(ctx context.Context, err error) *DialError {
	if e := explainTimeout(ctx, err, " from the proxy: can it reach the host?"); e != nil {
		return e
	}
	var network net.Error
	switch {
	case closed(err):
		return failure("the proxy closed the connection without an answer", false, nil)
	case errors.Is(err, syscall.ECONNREFUSED):
		return failure("the proxy does not take a second connection", false, nil)
	case errors.As(err, &network):
		return failure("the connection to the proxy broke", false, network)
	}
	return failure("what answers at the proxy's address does not speak HTTP: is it the right port, or should its URL start with https:// or socks5://?", true, nil)
}

// closed reports whether the other end has closed or reset a connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// explainUpgrade explains a failed WebSocket handshake.
func (d *dialer) explainUpgrade(ctx context.Context, resp *http.Response, err error) *DialError {
	if resp != nil {
		return d.explainStatus(resp)
	}
	if e := explainTimeout(ctx, err, " to the WebSocket handshake: is it a WebSocket server?"); e != nil {
		return e
	}
	var record tls.RecordHeaderError
	var op *net.OpError
	switch isOp := errors.As(err, &op); {
	case errors.Is(err, errLongAnswer):
		return failure("the server's answer to the WebSocket handshake is too long: is it a WebSocket server?", false, nil)
	case d.tls != nil && (alertOf(err) != 0 || d.tls.asked && closed(err)):
		return explainClientCertificate(d.tls, err) // TLS 1.3 servers refuse a certificate this late
	case errors.Is(err, syscall.ECONNRESET):
		return failure("the connection was reset without an answer: something on the way, or the server, does not like it", false, nil)
	case closed(err):
		return failure("the connection was closed without an answer", false, nil)
	case errors.As(err, &record):
		return failure("the server stopped speaking TLS", false, nil)
	case isOp:
		return failure(op.Op+" failed: "+safetext.Line(op.Err.Error(), shownTarget), false, op)
	}
	return failure("what answers there is not a WebSocket server", false, nil)
}

// explainStatus explains an answer that does not open a WebSocket.
func (d *dialer) explainStatus(resp *http.Response) *DialError {
	e := &DialError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now()), permanent: true}
	answer := "the server answered " + strconv.Itoa(resp.StatusCode)
	if text := http.StatusText(resp.StatusCode); text != "" {
		answer += " " + text
	}
	switch code := resp.StatusCode; {
	case code == http.StatusSwitchingProtocols:
		e.Problem = "the server's WebSocket handshake is wrong"
	case code >= 300 && code < 400:
		e.Problem = answer + redirectTarget(resp) + ": redirects are refused, dial the final address"
	case code == http.StatusBadRequest && d.target.Scheme == "ws":
		e.Problem = answer + " instead of opening a WebSocket: check the path, and whether the URL should start with wss://"
	case code == http.StatusBadRequest && d.tls != nil && d.tls.asked && !d.tls.sent:
		e.Problem = answer + ", and it asked for a client certificate: set TLS.CertFile and TLS.KeyFile"
	case code == http.StatusForbidden && d.target.Scheme == "ws":
		e.Problem = answer + ": it wants other credentials, refuses the origin, or takes no ws://"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		e.Problem = answer + ": it wants other credentials, or refuses the origin"
	case code == http.StatusUpgradeRequired: // Accept's answer to a request without these headers
		e.Problem = answer + ": the path is right, and a proxy in front of the server leaves out the headers Upgrade and Connection, or speaks HTTP/1.0 to it: have it pass them on"
	case code == http.StatusMisdirectedRequest:
		e.Problem = answer + ": it does not go by the name in the URL: dial another, or list this one in AcceptOptions.Hosts"
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		e.Problem, e.permanent = answer+": try again later", false
	default:
		e.Problem = answer + " instead of opening a WebSocket: check the path"
	}
	return e
}

// redirectTarget says where a redirect points, without the parts that may hold a token.
func redirectTarget(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil || to.Host == "" {
		return ""
	}
	return ", pointing to " + safetext.Line(strings.ToLower(to.Scheme), 20) + "://" + safetext.Line(to.Host, shownTarget)
}
