package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
)

// A handshake may have to be quicker than the pauses between decisions, and between times that
// credentials are fetched. Then a decision is late, and not left out.
func TestRenewalsUnderAShortHandshakeTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		scfg, ccfg := hosting(bob, alice), trusting(alice, bob)
		scfg.HandshakeTimeout, ccfg.HandshakeTimeout = 300*time.Millisecond, 300*time.Millisecond
		scfg.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
			return e2e.Grant{Expires: time.Now().Add(2 * time.Second)}, nil
		}
		ccfg.Credentials = func(context.Context) ([]byte, error) { return []byte("ticket"), nil }
		r := &road{srv: newServer(t, scfg, echo)}
		c := r.client(t, ccfg)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if err := c.Renew(ctx); err != nil {
				t.Errorf("Renew: %v", err)
			}
			cancel()
		}
		mustSend(t, c, "still here")
		mustReceive(t, c, "still here")
		c.Close()
	})
}
