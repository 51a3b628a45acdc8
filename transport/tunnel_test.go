//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// TestA49WhatATunnelsEndIsNot: behind a load balancer that ends the client's TLS,
// the certificate on the socket is the load balancer's; and one that is elsewhere
// does not make a client local by saying so.
func TestA49WhatATunnelsEndIsNot(t *testing.T) {
	cert := new(x509.Certificate)
	for _, c := range []struct {
		tunnel hops.Tunnel
		want   *x509.Certificate
		local  bool
	}{
		{hops.Tunnel{}, cert, true},
		{hops.Tunnel{Hop: "127.0.0.1:1", Secure: false}, cert, true},
		{hops.Tunnel{Hop: "10.0.0.1:1", Secure: false}, cert, false},
		{hops.Tunnel{Hop: "127.0.0.1:1", Secure: true}, nil, true},
	} {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.RemoteAddr = "127.0.0.1:5"
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &hops.TunnelAddr{Tunnel: c.tunnel}))
		from, err := hops.Trace(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, no := certificateOf(r, from, true); got != c.want || no != nil {
			t.Errorf("%+v: certificate %v, %v", c.tunnel, got, no)
		}
		if got := onThisMachine(r, from); got != c.local {
			t.Errorf("%+v: local %v", c.tunnel, got)
		}
	}
}
