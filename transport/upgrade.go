//go:build !js

package transport

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/hopseal/hopseal/transport/internal/hops"
)

// checkUpgrade refuses a request that is no WebSocket handshake (RFC 6455, section 4.2.1) before
// anything else is done for it. The library below checks the same, but its answers quote the
// request.
func checkUpgrade(r *http.Request) *refusal {
	h := r.Header
	keys := h.Values("Sec-WebSocket-Key")
	switch {
	case !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1:
		return &refusal{status: http.StatusUpgradeRequired, clientText: noHandshake,
			problem: "a WebSocket starts with a request of HTTP/1.1: allow it in front of this server"}
	case !hasToken(h, "Connection", "upgrade") || !hasToken(h, "Upgrade", "websocket"):
		return &refusal{status: http.StatusUpgradeRequired, clientText: noHandshake,
			problem: "the request is no WebSocket handshake: a browser came here by its address bar, or a proxy on the way dropped the headers Connection and Upgrade"}
	case r.Method != http.MethodGet:
		return &refusal{status: http.StatusMethodNotAllowed, clientText: noHandshake, problem: "a WebSocket handshake is a GET"}
	case hasBody(r):
		return &refusal{status: http.StatusBadRequest, clientText: noHandshake, problem: "a WebSocket handshake has no body"}
	case len(h.Values("Sec-WebSocket-Version")) != 1 || h.Get("Sec-WebSocket-Version") != "13":
		return &refusal{status: http.StatusBadRequest, clientText: noHandshake, problem: "the WebSocket version is not 13"}
	case len(keys) != 1 || !isNonce(keys[0]):
		return &refusal{status: http.StatusBadRequest, clientText: noHandshake, problem: "the header Sec-WebSocket-Key is missing or wrong"}
	}
	return nil
}

const noHandshake = "this address takes WebSocket connections only"

// hasBody reports whether the request has a body. A server would wait for it, by default for ever,
// before it gives its socket away or ends the request.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 || len(r.TransferEncoding) > 0 }

func isNonce(key string) bool {
	nonce, err := base64.StdEncoding.DecodeString(strings.TrimSpace(key))
	return err == nil && len(nonce) == 16
}

// hasToken reports whether the list in a header holds token, which is in lower case.
func hasToken(h http.Header, name, token string) bool {
	for item := range hops.List(h, name) {
		if strings.EqualFold(item, token) {
			return true
		}
	}
	return false
}

// A refusal says why a request gets no connection.
type refusal struct {
	status     int
	clientText string // what the client reads, the same for all clients
	problem    string // what the server's operator reads
	cause      error  // what its error matches, or nil
	header     http.Header
}

// answer sends the refusal and returns the error of Accept.
func (no *refusal) answer(w http.ResponseWriter, r *http.Request) *AcceptError {
	for name, values := range no.header {
		w.Header()[name] = values
	}
	if r.ProtoMajor == 1 {
		no.hangUp(w, r)
	}
	switch no.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodGet)
	case http.StatusBadRequest:
		w.Header().Set("Sec-WebSocket-Version", "13") // RFC 6455, section 4.4
	}
	http.Error(w, no.clientText, no.status)
	return &AcceptError{Status: no.status, Problem: no.problem, err: no.cause}
}

// hangUp makes the answer the last one on this connection. A proxy that ignored the status may have
// made a tunnel of the connection; through that the client could send requests from the proxy's
// address, with forwarding headers (requirement A49). Besides, somebody who floods the server has
// to pay for a new connection each time.
func (no *refusal) hangUp(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Connection", "close") // net/http requires it to be first
	if no.status == http.StatusUpgradeRequired {
		h.Add("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
	}
	if hasBody(r) {
		http.NewResponseController(w).SetReadDeadline(time.Now()) // do not wait for it
	}
}
