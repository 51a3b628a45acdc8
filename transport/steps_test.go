//go:build !js

package transport_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport/diagnose"
)

// steps is "name passed, tcp passed, …", in order.
func steps(r *diagnose.Report) string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.Step+" "+string(f.Result))
	}
	return strings.Join(all, ", ")
}

const fullWay = "name passed, tcp passed, tls passed, upgrade passed, echo passed, keep-alive passed"

// wellKept is a server with a chain that root verifies.
func wellKept(t *testing.T, handler http.Handler) (server *httptest.Server, root *pki.Certificate) {
	t.Helper()
	root = pki.Root()
	server = httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pki.Issue("service", root).Pair()}}
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, root
}
