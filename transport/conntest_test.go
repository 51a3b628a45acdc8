//go:build !js

package transport_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/conntest"
)

// What Dial and Accept make keeps all promises of a Conn.
func TestSocketsKeepThePromises(t *testing.T) {
	conntest.Test(t, conntest.Link{Connect: func(t *testing.T) (a, b transport.Conn) {
		conns := make(chan transport.Conn, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := transport.Accept(w, r, &transport.AcceptOptions{MaxMessage: conntest.MaxMessage, Policy: transport.Development})
			if err != nil {
				t.Errorf("Accept: %v", err)
			}
			conns <- conn
		}))
		t.Cleanup(server.Close)
		a, err := transport.Dial(t.Context(), server.URL, &transport.DialOptions{MaxMessage: conntest.MaxMessage, Policy: transport.Development})
		if err != nil {
			t.Fatal(err)
		}
		return a, <-conns
	}})
}
