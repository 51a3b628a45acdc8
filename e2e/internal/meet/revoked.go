package meet

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// NotRevoked returns an error if the peer's own root has revoked it. That needs no Verifier.
func NotRevoked(peer *keys.PublicIdentity) error {
	if peer.Revoked() {
		return &trust.Error{Reason: trust.Revoked, Got: peer.Fingerprint()}
	}
	return nil
}

// PassOn tells a Verifier of a revocation, so that it can remember it: whoever shows the
// revocation has the secrets of a session with the root that signed it. PassOn ignores the
// answer.
func PassOn(ctx context.Context, peer *keys.PublicIdentity, verify func(context.Context, *keys.PublicIdentity) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engine.DefaultHandshakeTimeout)
	go func() {
		defer cancel()
		aside.Within(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, verify(ctx, peer) })
	}()
}
