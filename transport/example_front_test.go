//go:build !js

package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
)

// A service behind a load balancer at 10.0.0.0/8 that terminates TLS.
func ExampleAcceptOptions_front() {
	serve := func(conn transport.Conn) { conn.Close(transport.CodeNormal, "") }

	gate := transport.NewGate(nil)
	opts := &transport.AcceptOptions{
		RequireTLS:  true, // on the client's link: a trusted hop has to say https
		TrustedHops: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Gate:        gate, // limits, figures and draining
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, opts)
		if err != nil {
			return // the client has its answer, and gate.Metrics counts it
		}
		go serve(conn)
	})
	mux.Handle("/socket/diagnose", diagnose.Handler(opts))
	mux.Handle("/healthz", gate.Live())
	mux.Handle("/readyz", gate.Ready())

	// Nobody on this machine is listed, so nobody here can say https.
	server := httptest.NewServer(mux)
	defer server.Close()
	_, err := transport.Dial(context.Background(), "ws"+server.URL[len("http"):]+"/socket", &transport.DialOptions{Policy: transport.Development})
	fmt.Println(err.(*transport.DialError).Status)
	// Output: 403
}
