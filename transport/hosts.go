//go:build !js

package transport

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/internal/hops"
)

const wrongHost = "this server is not served under the name that was dialled"

// checkHost refuses a request for a name that this server does not go by. Any web page can let its
// own name lead to 127.0.0.1 (DNS rebinding): the browser then takes this server for the page's
// own, and its Origin fits.
func checkHost(r *http.Request, from hops.Route, allowed []string) *refusal {
	problem := ""
	switch {
	case len(allowed) > 0:
		problem = unlisted(from, allowed)
	case fromLoopback(r, from) && !isLoopbackName(from.Host):
		problem = "the client is on this machine and dialled " + safetext.Quote(from.Host, shownTarget) +
			", which any web page can have lead here: list the name in AcceptOptions.Hosts, or dial localhost. " +
			"If a front on this machine passes on what others send, list it in TrustedHops and have it write X-Forwarded-For and X-Forwarded-Proto"
	}
	if problem == "" {
		return nil
	}
	return &refusal{status: http.StatusMisdirectedRequest, clientText: wrongHost, problem: ErrHost.Error() + ": " + problem, cause: ErrHost}
}

// fromLoopback reports whether a request has crossed nothing but loopback, as far as the listed
// hops tell. With TLS it returns false: no page has a certificate for this server, so the client
// meant this server. A page cannot send forwarding headers.
func fromLoopback(r *http.Request, from hops.Route) bool {
	local := hops.Addr(nextHop(r))
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		local = hops.Addr(at.String())
	}
	return !from.Secure && local.IsLoopback() && from.Client.IsLoopback()
}

// isLoopbackName reports whether a name means this machine wherever it is looked up, so that no
// page elsewhere can have it. RFC 6761 reserves localhost and all names below it.
func isLoopbackName(host string) bool {
	name, _ := splitHost(host)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || hops.Addr(name).IsLoopback()
}

// unlisted returns why a host is not in the allowed list, or "". A list with an unreadable entry
// refuses everybody.
func unlisted(from hops.Route, allowed []string) (problem string) {
	problem = safetext.Quote(from.Host, shownTarget) + " is not in AcceptOptions.Hosts"
	for _, entry := range allowed {
		switch listed, ok := matchHost(entry, from); {
		case !ok:
			return fmt.Sprintf("AcceptOptions.Hosts holds %q, want something like app.example.com, app.example.com:8443 or *.example.com", entry)
		case listed:
			problem = ""
		}
	}
	return problem
}

// matchHost reports whether an entry of AcceptOptions.Hosts matches the requested host, and whether
// the entry is valid. Clients leave out their scheme's default port.
func matchHost(entry string, from hops.Route) (match, ok bool) {
	want, port := splitHost(entry)
	name, dialled := splitHost(from.Host)
	dialled = cmp.Or(dialled, defaultPorts[schemeOf(from)])
	below, wild := strings.CutPrefix(want, "*.")
	switch {
	case entry == "*":
		return true, true
	case below == "" || strings.Contains(below, "*") || strings.ContainsAny(entry, "/@ \t"):
		return false, false
	case port != "" && port != dialled:
		return false, true
	case wild:
		return strings.HasSuffix(name, "."+below), true
	}
	return name == want, true
}

// splitHost splits a Host header into the name, in its canonical spelling, and the port.
func splitHost(host string) (name, port string) {
	name = host
	if n, p, err := net.SplitHostPort(host); err == nil {
		name, port = n, p
	}
	if addr := hops.Addr(name); addr.IsValid() {
		return addr.String(), port
	}
	return strings.ToLower(strings.TrimSuffix(name, ".")), port
}
