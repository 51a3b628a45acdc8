//go:build !js

package transport

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

// TestAWrongHandshakeHoldsNobodyUp has a server answer with a handshake that is
// wrong, and then nothing more.
func TestAWrongHandshakeHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		go func() {
			http.ReadRequest(bufio.NewReader(server))
			io.WriteString(server, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			io.Copy(io.Discard, server)
		}()
		begin := time.Now()
		_, err := newDialer(&url.URL{Scheme: "ws", Host: "service.example"}, &DialOptions{}).upgrade(t.Context(), client)
		var e *DialError
		if !errors.As(err, &e) || e.Status != http.StatusSwitchingProtocols {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}
