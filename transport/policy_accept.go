//go:build !js

package transport

import (
	"net/http"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// checkPolicy refuses a link in the clear that the options do not allow.
func checkPolicy(r *http.Request, from hops.Route, opts *AcceptOptions) *refusal {
	switch {
	case opts.Policy != Production && opts.Policy != Development:
		return &refusal{status: http.StatusInternalServerError, told: "this server is set up wrong",
			problem: "AcceptOptions.Policy has no such value: use transport.Production or transport.Development"}
	case from.Secure:
		return nil
	case !opts.RequireTLS && (opts.Sealed || mayStayHere(r, from, opts)):
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
	return &refusal{status: http.StatusForbidden, told: needTLS, problem: problem, cause: ErrCleartext}
}

const needTLS = "connections to this address need TLS (wss://)"

// mayStayHere reports that the link stays on this machine, and may because of the
// policy.
func mayStayHere(r *http.Request, from hops.Route, opts *AcceptOptions) bool {
	return opts.Policy == Development && onThisMachine(r, from)
}

// onThisMachine also looks at the name that the client used. Otherwise any web page
// could make its own name point here, and be of the same origin.
func onThisMachine(r *http.Request, from hops.Route) bool {
	return !from.Hidden && hops.Addr(nextHop(r)).IsLoopback() && from.Client.IsLoopback() && ownName(r.Host)
}
