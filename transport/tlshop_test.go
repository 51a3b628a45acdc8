//go:build !js

package transport_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// quiet is for servers whose handshakes fail on purpose.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// tlsHop is a TLS server that sends WebSockets everything back.
func tlsHop(t *testing.T, conf *tls.Config) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, accepting(nil))
		if err != nil {
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		echo(conn)
	}))
	s.TLS, s.Config.ErrorLog = conf, quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	return "wss" + strings.TrimPrefix(s.URL, "https")
}
