//go:build !js

package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxProxyAnswer bounds an answer of an HTTP proxy, in bytes.
const maxProxyAnswer = 64 << 10

// askHTTP asks an HTTP proxy to connect to the target (RFC 9110, section 9.3.6). The handshake with
// the target goes through the tunnel, for ws as for wss (RFC 6455, section 4.1). So the proxy
// learns only the target's host and port.
func (d *dialer) askHTTP(ctx context.Context, conn net.Conn, login *proxyLogin) *DialError {
	limited := &io.LimitedReader{R: conn}
	r := bufio.NewReader(limited)
	for {
		limited.N = maxProxyAnswer
		header, failed := login.header(ctx)
		if failed != nil {
			return failed
		}
		if _, err := io.WriteString(conn, connectRequest(d.authority(), header)); err != nil {
			return d.explainProxy(ctx, err)
		}
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
		if err == nil {
			d.answered = answeredBy(resp.Header)
		}
		switch {
		case err != nil:
			return d.explainProxy(ctx, err)
		case resp.StatusCode == http.StatusProxyAuthRequired && login.answerable():
			login.challenges = resp.Header.Values("Proxy-Authenticate")
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
				login.again = true
				return explainProxyStatus(resp, header != "")
			}
		case resp.StatusCode/100 != 2:
			return explainProxyStatus(resp, header != "")
		case r.Buffered() > 0:
			return failure("the proxy sent something of its own before the server could", true, nil)
		default:
			return nil
		}
	}
}

func connectRequest(authority, authorization string) string {
	request := "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n"
	if authorization != "" {
		request += "Proxy-Authorization: " + authorization + "\r\n"
	}
	return request + "\r\n"
}

// explainProxyStatus explains a proxy that refused.
func explainProxyStatus(resp *http.Response, hadPassword bool) *DialError {
	e := &DialError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now()), permanent: true}
	answer := strconv.Itoa(resp.StatusCode)
	if text := http.StatusText(resp.StatusCode); text != "" {
		answer += " " + text
	}
	switch code := resp.StatusCode; {
	case wantsPassword(code) && hadPassword:
		e.Problem = "the proxy refuses the user name or the password (" + answer + ")"
	case wantsPassword(code):
		e.Problem = "the proxy wants a user name and a password (" + answer + "): write them into its URL, such as http://user:password@proxy.example, or set ProxyAuth"
	case code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		e.Problem, e.permanent = "the proxy could not reach the host ("+answer+"): is the server running, and can the proxy look its name up?", false
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		e.Problem, e.permanent = "the proxy failed ("+answer+"): try again later", false
	case code == http.StatusForbidden:
		e.Problem = "the proxy does not allow this host and port (" + answer + "): ask whoever runs it"
	default:
		e.Problem = "the proxy answered " + answer + " to CONNECT: is it an HTTP proxy?"
	}
	return e
}

// wantsPassword reports whether a proxy's answer is about credentials. tinyproxy answers 401 to a
// wrong password.
func wantsPassword(status int) bool {
	return status == http.StatusProxyAuthRequired || status == http.StatusUnauthorized
}
