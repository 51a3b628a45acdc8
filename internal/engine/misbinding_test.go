package engine

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// underRoot returns id's identity as somebody else's: the same keys, listed and
// signed by another root. Nobody can be kept from listing keys that they do not hold.
func underRoot(t *testing.T, id *keys.Identity, public ed25519.PublicKey, root ed25519.PrivateKey) *keys.PublicIdentity {
	t.Helper()
	r := strict.NewReader(id.Public().Bytes())
	r.Array(2)
	statement := bytes.Replace(r.Bin(1, keys.MaxPublicSize), id.Public().RootKey(), public, 1)
	b := strict.AppendBin(strict.AppendArray(nil, 2), statement)
	return must(keys.ParsePublic(strict.AppendBin(b, ed25519.Sign(root, label.Identity.With(statement)))))
}

// A07: whoever lists alice's signing key under a root of their own cannot have what
// alice signs count as theirs, not even in the very handshake that she signs in.
func TestA07SignatureDoesNotSpeakForAnotherRoot(t *testing.T) {
	public, root, _ := ed25519.GenerateKey(nil)
	// What the owner of the key signs in this handshake, being who they are.
	signedAs := func(e *end, role label.Label, owner *keys.Identity) func([]byte) []byte {
		return func([]byte) []byte { return signWith(owner)(e.h.schedule.signed(role, owner.Public().Bytes(), test1)) }
	}
	cfg := configFor(alice)
	cfg.Identity = underRoot(t, alice, public, root)
	c, s := clientOf(cfg, alice), server(bob)
	c.sign = signedAs(c, label.SessionClientSign, alice)
	_, err := meet(c, s, honest)
	wantReason(t, err, ErrHandshake, ReasonSignature)

	cfg = configFor(bob)
	cfg.Identity = underRoot(t, bob, public, root)
	c, s = client(alice), serverOf(cfg, bob)
	s.sign = signedAs(s, label.SessionServerSign, bob)
	err, _ = meet(c, s, honest)
	wantReason(t, err, ErrHandshake, ReasonSignature)
	if c.seen != nil {
		t.Error("the client was shown whose signature it was not")
	}
}
