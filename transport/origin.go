//go:build !js

package transport

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/internal/hops"
)

// checkOrigin returns the origin of the page that makes the request, or "" if the request comes
// from no page. It returns an error if the origin is neither the server's own nor listed
// (requirement A43). A list with an unreadable entry refuses everybody.
func checkOrigin(r *http.Request, from hops.Route, allowed []string) (string, error) {
	sent := r.Header.Values("Origin")
	if len(sent) == 0 {
		return "", nil
	}
	origin, ok := parseOrigin(sent[0])
	if !ok || len(sent) > 1 {
		return "", fmt.Errorf("%w: %s", ErrOrigin, safetext.Quote(sent[0], shownTarget))
	}
	if own, ok := parseOrigin(schemeOf(from) + "://" + from.Host); ok && origin == own {
		return origin, nil
	}
	for _, entry := range allowed {
		listed, ok := parseOrigin(entry)
		if !ok {
			return "", fmt.Errorf("%w: AcceptOptions.Origins holds %q, want something like https://app.example.com", ErrOrigin, entry)
		}
		if origin == listed {
			return origin, nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrOrigin, safetext.Quote(origin, shownTarget))
}

func schemeOf(from hops.Route) string {
	if from.Secure {
		return "https"
	}
	return "http"
}

// parseOrigin returns the canonical spelling of an origin: lower case, and without the scheme's
// default port. Browsers send names in ASCII (punycode) and escape nothing.
func parseOrigin(s string) (string, bool) {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }) {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return "", false
	}
	bare := url.URL{Scheme: u.Scheme, Host: u.Host}
	if !strings.EqualFold(bare.String(), s) { // anything else in it: path, user, query
		return "", false
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	inBrackets := strings.HasPrefix(u.Host, "[")
	if strings.Contains(host, ":") != inBrackets { // an IPv6 address, or nonsense
		return "", false
	}
	if defaultPorts[u.Scheme] == port {
		port = ""
	}
	if port != "" {
		return u.Scheme + "://" + net.JoinHostPort(host, port), true
	}
	if inBrackets {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host, true
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}
