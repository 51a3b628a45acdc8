package transport

import (
	"net/netip"
	"net/url"
)

// cleartextProblem returns why a dial of u may not do without TLS, or "". The other arguments are
// those of DialOptions.
func cleartextProblem(u *url.URL, policy Policy, sealed, requireTLS bool) string {
	switch {
	case policy != Production && policy != Development:
		return "DialOptions.Policy has no such value: use transport.Production or transport.Development"
	case u.Scheme != "ws":
		return ""
	case requireTLS:
		return "RequireTLS is set and the URL starts with ws://: use wss://"
	case !sealed && !localOnly(u, policy):
		return "everybody on the way could read and change what crosses ws://: use wss://, or set Sealed if everything is sealed above, or between programs on one machine Policy: transport.Development"
	}
	return ""
}

// localOnly reports whether a dial of u stays on this machine and the policy allows that without
// TLS.
func localOnly(u *url.URL, policy Policy) bool {
	return policy == Development && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
