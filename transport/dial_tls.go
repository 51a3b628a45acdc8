//go:build !js

package transport

import (
	"context"
	"crypto/tls"
	"net"
)

// secure does the TLS handshake with the target on conn.
func (d *dialer) secure(ctx context.Context, conn net.Conn) (secured net.Conn, err error) {
	err = d.runPhase(ctx, PhaseTLS, d.opts.Timeouts.TLS, func(ctx context.Context, e *DialEvent) *DialError {
		client := tls.Client(conn, d.tls.tls)
		if err := client.HandshakeContext(ctx); err != nil {
			conn.Close()
			return explainTLS(ctx, d.tls, err)
		}
		state := client.ConnectionState()
		d.info.TLS = describeTLS(&state)
		e.TLS, secured = d.info.TLS, client
		return nil
	})
	return secured, err
}
