//go:build !js

package transport_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// What a layer above has heard from the peer counts for twice as long as there is between two
// pings, and no longer. Without such a layer a peer that is silent from the beginning is found
// in as much.
func TestKeepAliveBelowALayerThatHears(t *testing.T) {
	for name, test := range map[string]struct {
		heard func(since time.Duration) time.Duration // when it last did; nil for no such layer
		ends  time.Duration
	}{
		"no layer":                 {nil, 50 * time.Second},
		"nothing":                  {func(time.Duration) time.Duration { return 0 }, 50 * time.Second},
		"once":                     {func(time.Duration) time.Duration { return 40 * time.Second }, 90 * time.Second},
		"every 48 s, until 10 min": {func(since time.Duration) time.Duration { return min(since.Truncate(48*time.Second), 10*time.Minute) }, 650 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, conns := make(pipeListener), make(chan transport.Conn, 1)
				server := transport.NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if conn, err := transport.Accept(w, r, &transport.AcceptOptions{Sealed: true, KeepAlive: 25 * time.Second}); err == nil {
						conns <- conn
					}
				}))
				go server.Serve(l)
				defer func() { close(l); server.Close() }()
				socket, conn, _ := (&pipeServer{l, conns}).knock(t)
				go io.Copy(io.Discard, socket) // takes pings and answers none
				began := time.Now()
				if test.heard != nil {
					conn.(interface{ Watch(func() time.Time) }).Watch(func() time.Time { return began.Add(test.heard(time.Since(began))) })
				}
				_, err := conn.Read(t.Context(), nil)
				wantClosed(t, err, transport.CodeAbnormal, true)
				if took := time.Since(began); took < test.ends || took > test.ends+time.Second {
					t.Errorf("found after %v, want %v", took, test.ends)
				}
			})
		})
	}
}
