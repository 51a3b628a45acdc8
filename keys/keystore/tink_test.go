//go:build !js

package keystore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/signature"
	"github.com/tink-crypto/tink-go/v2/signature/ed25519"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keyio"
)

// tinkMade is a signing keyset that Tink's manager made, with keys of these variants.
func tinkMade(primary int, variants ...ed25519.Variant) *tinkkeyset.Handle {
	m := tinkkeyset.NewManager()
	for i, v := range variants {
		params := must(ed25519.NewParameters(v))
		id := must(m.AddNewKeyFromParameters(&params))
		if i == primary {
			must(0, m.SetPrimary(id))
		}
	}
	return must(m.Handle())
}

func imported(h *tinkkeyset.Handle) *keyio.TinkKeyset {
	var b bytes.Buffer
	must(0, insecurecleartextkeyset.Write(h, tinkkeyset.NewBinaryWriter(&b)))
	return must(keyio.ReadCleartextTinkKeyset(b.Bytes(), keyio.TinkBinary, cleartext))
}

// Keys keep their states, and the keyset goes on living: in a store, through a
// rotation, and back to Tink.
func TestImportedKeysetsLive(t *testing.T) {
	cheap(t)
	signing := tinkMade(2, ed25519.VariantTink, ed25519.VariantCrunchy, ed25519.VariantCrunchy, ed25519.VariantTink)
	m := tinkkeyset.NewManagerFromHandle(signing)
	if err := m.Disable(must(signing.Entry(0)).KeyID()); err != nil {
		t.Fatal(err)
	}
	id, err := keyio.ImportIdentity("alice", imported(must(m.Handle())), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := stages(id.Keys(), keys.UseSigning), "archived retiring primary pending"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	if len(id.Public().VerifyingKeys()) != 4 {
		t.Errorf("%d signing keys are listed", len(id.Public().VerifyingKeys()))
	}

	path := t.TempDir() + "/alice.store"
	s, err := Create(t.Context(), path, passphrase, id)
	if err != nil {
		t.Fatal(err)
	}
	next := id.Keys()[3]
	if err := s.Promote(KeyRef{Use: keys.UseSigning, TinkID: next.TinkID}); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if got, want := stages(s.Identity().Keys(), keys.UseSigning), "archived retiring retiring primary"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	public := must(must(keyio.ExportIdentity(s.Identity(), keys.UseSigning)).Public(keyio.TinkJSON))
	verifier := must(signature.NewVerifier(must(tinkkeyset.ReadWithNoSecrets(tinkkeyset.NewJSONReader(bytes.NewReader(public))))))
	message := []byte("message")
	prefix := binary.BigEndian.AppendUint32([]byte{1}, next.TinkID) // Tink's
	if err := verifier.Verify(append(prefix, must(s.Identity().Signer().Sign(message))...), message); err != nil {
		t.Errorf("Tink does not verify ours: %v", err)
	}
}

// A22: a keyset in which a key without a prefix stands beside another does not
// leave either.
func TestA22NoAmbiguousKeysetLeaves(t *testing.T) {
	cheap(t)
	id, err := keyio.ImportIdentity("alice", imported(tinkMade(0, ed25519.VariantNoPrefix)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Create(t.Context(), t.TempDir()+"/s", passphrase, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyio.ExportIdentity(id, keys.UseSigning); err != nil {
		t.Error(err)
	}
	if _, err := s.Add(KeyRef{Use: keys.UseSigning}); err != nil {
		t.Fatal(err)
	}
	_, err = keyio.ExportIdentity(reopen(t, s).Identity(), keys.UseSigning)
	if e, ok := errors.AsType[*keyio.TinkKeysetError](err); !ok || e.Reason != keyio.TinkAmbiguous {
		t.Error(err)
	}
}
