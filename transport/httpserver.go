//go:build !js

package transport

import (
	"net/http"
	"time"
)

// NewHTTPServer returns an http.Server for handlers that call Accept, with the
// limits that net/http leaves out: a client has 10 seconds for TLS, 10 for the
// whole header of a request, which may have 16 KiB, and 30 for all of it; a
// connection that carries no WebSocket and no request is closed after a minute.
// None of them touches a connection once it is a WebSocket. Set Addr and TLSConfig
// as needed, and limits for other handlers.
func NewHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}
