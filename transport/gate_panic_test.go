//go:build !js

package transport_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// Whoever makes the application's Authenticate panic takes up no place for that: else a few of
// them would lock an address out, and keep Drain waiting.
func TestAPanicTakesUpNoPlace(t *testing.T) {
	gate := transport.NewGate(&transport.GateOptions{MaxConns: 1, Notify: func(transport.ConnEvent) {}})
	left := 3
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &transport.AcceptOptions{Sealed: true, Gate: gate,
			Authenticate: func(context.Context, *transport.Caller) (transport.Grant, error) {
				if left--; left >= 0 {
					panic(http.ErrAbortHandler) // which net/http does not log
				}
				return transport.Grant{}, nil
			}})
		if err == nil {
			conn.Read(cancelled(), nil)
		}
	}))
	defer s.Close()
	url := "ws" + s.URL[len("http"):]
	for range 3 {
		if _, err := transport.Dial(t.Context(), url, &transport.DialOptions{Sealed: true}); err == nil {
			t.Fatal("it did not panic")
		}
	}
	conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	conn.Read(cancelled(), nil)
	s.Close()
	if err := gate.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
