//go:build !js

package transport

import (
	"net/http"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// checkPolicy refuses a link without TLS that the options do not allow.
func checkPolicy(r *http.Request, from hops.Route, opts *AcceptOptions) *refusal {
	switch {
	case opts.Policy != Production && opts.Policy != Development:
		return &refusal{status: http.StatusInternalServerError, clientText: "this server is set up wrong",
			problem: "AcceptOptions.Policy has no such value: use transport.Production or transport.Development"}
	case from.Secure:
		return nil
	case !opts.RequireTLS && (opts.Sealed || allowedLocally(r, from, opts)):
		return nil
	}
	problem := "there is no TLS between the client and this server: "
	switch {
	case opts.RequireTLS:
		problem += "serve wss://, or list what terminates TLS in front of it in TrustedHops"
	case opts.Policy == Development:
		problem += "Policy Development allows that only from a loopback address to localhost, and past no proxy"
	default:
		problem += "serve wss://, list what terminates TLS in front of it in TrustedHops, set Sealed if all that crosses is sealed above the link, or set Policy: transport.Development to work on one machine"
	}
	return &refusal{status: http.StatusForbidden, clientText: needTLS, problem: problem, cause: ErrCleartext}
}

const needTLS = "connections to this address need TLS (wss://)"

// allowedLocally reports whether the link stays on this machine and the policy allows that without
// TLS.
func allowedLocally(r *http.Request, from hops.Route, opts *AcceptOptions) bool {
	return opts.Policy == Development && onThisMachine(r, from)
}

// onThisMachine reports whether the link stays on this machine. It also checks the name that the
// client used: otherwise any web page could let its own name lead here, and pass as of the same
// origin.
func onThisMachine(r *http.Request, from hops.Route) bool {
	return !from.Hidden && hops.Addr(nextHop(r)).IsLoopback() && from.Client.IsLoopback() && isLoopbackName(r.Host)
}
