//go:build !js

package keys

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/signature"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

var kinds = []keyset.Type{keyset.Ed25519, keyset.XWing, keyset.XAESGCM, keyset.HMAC, keyset.AESGCM}

// The compact codec reads what Tink writes, and writes it again byte for byte.
func TestCompactCodecReadsTink(t *testing.T) {
	for _, kind := range kinds {
		set := generate(t, kind)
		b, err := set.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		compact, err := keyset.Parse(b)
		if err != nil {
			t.Fatalf("type %d: %v", kind, err)
		}
		if again, err := compact.Append(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("type %d: written again as %x, want %x", kind, again, b)
		}
		if public, err := keyset.PublicOf(kind, compact.Keys[0].Secret); err != nil || !bytes.Equal(public, compact.Keys[0].Public) {
			t.Errorf("type %d: the seed gives another public key than Tink's", kind)
		}
	}
}

// Tink reads what the compact codec writes, in every state and with every prefix, and writes it
// again.
func TestTinkReadsCompactCodec(t *testing.T) {
	for _, kind := range kinds {
		set, err := keyset.Generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range []keyset.Status{keyset.Enabled, keyset.Disabled} {
			for _, prefix := range []keyset.Prefix{keyset.PrefixTink, keyset.PrefixCrunchy, keyset.PrefixRaw} {
				if kind == keyset.XAESGCM && prefix == keyset.PrefixCrunchy {
					continue // which Tink does not have
				}
				more, _ := keyset.Generate(kind)
				key := more.Keys[0]
				key.Status, key.Prefix = status, prefix
				set.Keys = append(slices.Clone(set.Keys), key)
				holdAgainstTink(t, set)
			}
		}
	}
}

func holdAgainstTink(t *testing.T, set keyset.Keyset) {
	t.Helper()
	b, err := set.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	read, err := insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ring.Set{Handle: read}.Bytes()
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("Tink writes %x, want %x (%v)", again, b, err)
	}
}

// The standard library's primitives on the keys' bytes are the same functions as Tink's primitives on
// the keysets.
func TestTinkPrimitivesAgree(t *testing.T) {
	message, aad := []byte("message"), []byte("associated data")

	shared, err := GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	tinkAEAD, err := aead.New(shared.state.Load().aeads.Set.Handle)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := tinkAEAD.Encrypt(message, aad)
	if err != nil {
		t.Fatal(err)
	}
	const prefix = 5 // Tink's: version and key id
	if got, err := shared.Primary().Open(nil, sealed[prefix:], aad); err != nil || !bytes.Equal(got, message) {
		t.Errorf("what Tink sealed opens as %q, %v", got, err)
	}
	ours := append(bytes.Clone(sealed[:prefix]), must(shared.Primary().Seal(nil, message, aad))...)
	if got, err := tinkAEAD.Decrypt(ours, aad); err != nil || !bytes.Equal(got, message) {
		t.Errorf("Tink opens ours as %q, %v", got, err)
	}

	tinkMAC, err := mac.New(shared.state.Load().macs.Set.Handle)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := tinkMAC.ComputeMAC(message)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(tag[prefix:], shared.Primary().MAC(nil, message)) {
		t.Error("HMAC tags differ")
	}
}

func TestTinkIdentityPrimitivesAgree(t *testing.T) {
	message, info := []byte("message"), []byte("info")
	id := testIdentity(t, "alice")
	const prefix = 5

	signer, err := signature.NewSigner(id.state.Load().signing.Set.Handle)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	if !id.Public().VerifyingKey().Verify(message, sig[prefix:]) {
		t.Error("Tink's signature does not verify")
	}
	public, err := id.state.Load().sealing.Set.Handle.Public()
	if err != nil {
		t.Fatal(err)
	}
	encrypt, err := hybrid.NewHybridEncrypt(public)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypt.Encrypt(message, info)
	if err != nil {
		t.Fatal(err)
	}
	to := id.Public().RecipientKey()
	if got, err := id.UnsealKey(to.ID(), info, sealed[prefix:]); err != nil || !bytes.Equal(got, message) {
		t.Errorf("what Tink sealed opens as %q, %v", got, err)
	}
	ours, err := to.SealKey(info, message)
	if err != nil {
		t.Fatal(err)
	}
	decrypt, err := hybrid.NewHybridDecrypt(id.state.Load().sealing.Set.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt.Decrypt(append(bytes.Clone(sealed[:prefix]), ours...), info); err != nil || !bytes.Equal(got, message) {
		t.Errorf("Tink opens ours as %q, %v", got, err)
	}
}

func generate(t *testing.T, kind keyset.Type) ring.Set {
	t.Helper()
	set, err := ring.GenerateSet(kind)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
