package e2e

import (
	"errors"
	"net/url"
	"strings"

	"github.com/hopseal/hopseal/internal/netless"
)

// Address returns what [Dial] asks the Verifier about for a URL: host, port and
// path, without scheme or query. It is the name under which [trust.KnownPeers]
// keeps the server.
func Address(url string) (string, error) { return addressOf(url) }

// addressOf returns the part of a URL that says which server is meant. It leaves out the scheme,
// because a server keeps its identity when it gets a certificate, and the query, which may hold
// a token.
func addressOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("e2e: the URL names no host")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "http": "80"}[u.Scheme]
	}
	if port == "" {
		port = "443"
	}
	return netless.JoinHostPort(strings.ToLower(u.Hostname()), port) + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}
