//go:build !js

package transport

import (
	"net/http"
	"time"
)

// NewHTTPServer returns an http.Server for handlers that call Accept, with the limits that net/http
// leaves out. A client has 10 seconds for TLS, 10 for the header of a request, which may have 16
// KiB, and 30 for the whole request. A connection without a WebSocket and without a request is
// closed after a minute. These limits end when a connection becomes a WebSocket. Set Addr and
// TLSConfig as needed, and limits for other handlers.
func NewHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}
