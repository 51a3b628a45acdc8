//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
)

// maxProxyRounds bounds the requests to a proxy for one connection.
const maxProxyRounds = 5

// chooseProxy sets d.proxy. It refuses a proxy that would see what has to stay secret.
func (d *dialer) chooseProxy(ctx context.Context) error {
	proxy, err := d.wantedProxy(ctx)
	if err != nil || proxy == nil {
		return err
	}
	if problem := badProxy(proxy); problem != "" {
		return d.refuse(problem)
	}
	d.proxy, d.info.Proxy = proxy, safeTarget(proxy)
	if localOnly(d.target, d.opts.Policy) && !isLoopback(proxy.Hostname()) {
		return d.refuse("a proxy on another machine would see what the Development policy keeps on this one: use wss://, or no proxy")
	}
	if proxy.User != nil && (d.opts.ProxyAuth == nil || isSOCKS(proxy)) && d.exposesPassword() {
		return d.refuse(cleartextPassword)
	}
	return nil
}

const cleartextPassword = "the proxy's password would cross the network in the clear: use an https:// proxy, or set InsecureProxyPassword if the way to it can be trusted"

func (d *dialer) wantedProxy(ctx context.Context) (*url.URL, error) {
	if d.opts.Proxy != nil {
		proxy, err := d.opts.Proxy(ctx, &url.URL{Scheme: d.target.Scheme, Host: d.target.Host})
		if err != nil {
			e := hookFailure("DialOptions.Proxy", err)
			e.Target = safeTarget(d.target)
			return nil, e
		}
		return proxy, nil
	}
	proxy, problem := proxyOfEnvironment(d.target)
	if problem != "" {
		return nil, d.refuse(problem)
	}
	return proxy, nil
}

func badProxy(u *url.URL) string {
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return "the proxy's URL must start with http://, https:// or socks5://, not " + safetext.Quote(u.Scheme, 20)
	}
	if _, problem := asciiHost(u); problem != "" || u.Hostname() == "" {
		return "the proxy's URL names no host"
	}
	if strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") { // part of a password was not escaped
		return "the proxy's URL cannot be read: " + encodePassword
	}
	return ""
}

const encodePassword = "in its user name and password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25"

func isSOCKS(proxy *url.URL) bool { return strings.HasPrefix(proxy.Scheme, "socks5") }

// exposesPassword reports whether others could read what is sent to the proxy.
func (d *dialer) exposesPassword() bool {
	return d.proxy.Scheme != "https" && !isLoopback(d.proxy.Hostname()) && !d.opts.InsecureProxyPassword
}

// tunnel returns a connection to the target through the proxy.
func (d *dialer) tunnel(ctx context.Context) (net.Conn, error) {
	host, _ := asciiHost(d.proxy)
	conn, err := d.reach(ctx, d.proxy, host)
	if err != nil {
		return nil, err
	}
	err = d.runPhase(ctx, PhaseProxy, d.opts.Timeouts.Proxy, func(ctx context.Context, e *DialEvent) (failed *DialError) {
		login := &proxyLogin{d: d}
		for {
			if conn, failed = d.askProxy(ctx, conn, login, e); failed == nil || !login.again {
				return failed
			}
			// The proxy has closed the connection on which it sent its challenge.
			login.again = false
			var err error
			if conn, err = new(net.Dialer).DialContext(ctx, "tcp", d.info.Remote); err != nil {
				return d.explainProxy(ctx, err)
			}
			d.socket = conn
		}
	})
	return conn, err
}

// askProxy asks the proxy at the other end of conn to connect to the target.
func (d *dialer) askProxy(ctx context.Context, conn net.Conn, login *proxyLogin, e *DialEvent) (net.Conn, *DialError) {
	if d.proxy.Scheme == "https" {
		secured, failed := d.secureProxy(ctx, conn)
		if failed != nil {
			return nil, failed
		}
		state := secured.ConnectionState()
		conn, e.TLS = secured, describeTLS(&state)
	}
	ask := d.askHTTP
	if isSOCKS(d.proxy) {
		ask = d.askSOCKS
	}
	done := unblock(ctx, conn)
	failed := ask(ctx, conn, login)
	if !done() && failed == nil {
		failed = d.explainProxy(ctx, ctx.Err())
	}
	if failed != nil {
		conn.Close()
		return nil, failed
	}
	return conn, nil
}

func (d *dialer) secureProxy(ctx context.Context, conn net.Conn) (*tls.Conn, *DialError) {
	host, _ := asciiHost(d.proxy)
	conf, err := d.opts.ProxyTLS.config(host)
	if err != nil {
		conn.Close()
		return nil, failure("ProxyTLS: "+err.Error(), true, nil)
	}
	secured := tls.Client(conn, conf.tls)
	spoke := d.probe(ctx, conn)
	err = secured.HandshakeContext(ctx)
	failed := spoke.stop()
	if failed == nil && err != nil {
		failed = d.explainProxyTLS(ctx, conf, err)
	}
	if failed != nil {
		conn.Close()
		return nil, failed
	}
	return secured, nil
}

func (d *dialer) explainProxyTLS(ctx context.Context, conf *tlsConfig, err error) *DialError {
	if errors.As(err, &tls.RecordHeaderError{}) {
		return failure("the proxy does not speak TLS on this port: is it the right port, or should its URL start with http://?", true, nil)
	}
	failed := explainTLS(ctx, conf, err)
	failed.Problem = "the proxy's TLS: " + failed.Problem
	return failed
}

// authority returns the target's host and port for a proxy.
func (d *dialer) authority() string {
	port, _ := portOf(d.target)
	return net.JoinHostPort(d.host, uitoa(port))
}

// A proxyLogin answers the challenges of an HTTP proxy.
type proxyLogin struct {
	d          *dialer
	rounds     int
	challenges []string // from the proxy's last answer
	again      bool     // ask once more, on a new connection
}

// header returns the value of Proxy-Authorization for the next request.
func (l *proxyLogin) header(ctx context.Context) (string, *DialError) {
	if l.rounds++; l.rounds > maxProxyRounds {
		return "", failure("the proxy is not content with what ProxyAuth answers", true, nil)
	}
	d := l.d
	if d.opts.ProxyAuth == nil {
		return basic(d.proxy.User), nil
	}
	answer, err := d.opts.ProxyAuth(ctx, d.proxy, l.challenges)
	switch {
	case err != nil:
		return "", hookFailure("ProxyAuth", err)
	case !isFieldValue(answer):
		return "", failure("ProxyAuth returned a line break or another control character", true, nil)
	case isSecretItself(answer) && d.exposesPassword():
		return "", failure(cleartextPassword, true, nil)
	}
	return answer, nil
}

// answerable reports whether a challenge is worth another request.
func (l *proxyLogin) answerable() bool { return l.d.opts.ProxyAuth != nil }

// basic returns the credentials of RFC 7617, or "" if there is no user.
func basic(user *url.Userinfo) string {
	if user == nil {
		return ""
	}
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}

// isSecretItself reports whether credentials are a password or a token, which whoever reads them
// can use, and not the answer to a challenge.
func isSecretItself(credentials string) bool {
	scheme, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimLeft(credentials, " \t"), "\t", " "), " ")
	return strings.EqualFold(scheme, "Basic") || strings.EqualFold(scheme, "Bearer")
}

// hookFailure explains a failed function of the caller. It does not show errors of net/http and
// net/url, which repeat a whole URL: that may hold a password.
func hookFailure(hook string, err error) *DialError {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return failure(hook+" failed: its error is not shown, since it holds a URL", false, nil)
	}
	return failure(hook+" failed: "+safetext.Line(err.Error(), shownReason), false, err)
}
