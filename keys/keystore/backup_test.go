package keystore

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// A backup holds everything, and comes back under another passphrase.
func TestBackup(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	shared, _ := keys.GenerateSharedKeyset()
	bob := testIdentity(t, "bob").Public()
	if err := errors.Join(s.PutSharedKeyset("orders", shared), s.KnownPeers().Admit(trust.Expected{Room: "blue"}, bob)); err != nil {
		t.Fatal(err)
	}
	b, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenReplica(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := r.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(same, b) {
		t.Errorf("a replica backs up something else: %v", err)
	}
	other := Passphrase([]byte("another nine words that nobody would ever guess"))
	path = filepath.Join(t.TempDir(), "restored.store")
	restored, err := Restore(t.Context(), path, other, b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	if restored.contents.generation <= s.contents.generation {
		t.Error("the restored store looks older than its backup")
	}
	restored.Close()
	if restored, err = Open(t.Context(), path, other); err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	set, ok := restored.SharedKeyset("orders")
	if !ok || set.Primary().ID() != shared.Primary().ID() || !restored.Identity().Public().Equal(s.Identity().Public()) ||
		!bytes.Equal(restored.KnownPeers().Bytes(), s.KnownPeers().Bytes()) {
		t.Error("came back otherwise")
	}
	if err := restored.KnownPeers().Admit(trust.Expected{Room: "red"}, bob); err != nil || restored.contents.generation < 3 {
		t.Errorf("what the peers learn is not kept: %v", err)
	}
}

func TestRestoreMakesNothingOfDamage(t *testing.T) {
	cheap(t)
	s, _ := newStore(t)
	b, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(b)
	flipped[len(b)/2] ^= 1
	path := filepath.Join(t.TempDir(), "restored.store")
	for name, bad := range map[string][]byte{"empty": nil, "cut": b[:len(b)-1], "longer": append(bytes.Clone(b), 0), "flipped": flipped} {
		if _, err := Restore(t.Context(), path, passphrase, bad, insecurecleartext.Token{}); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenReplica(t.Context(), path, passphrase); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	if _, err := Restore(t.Context(), s.Path(), passphrase, b, insecurecleartext.Token{}); !errors.Is(err, ErrInUse) {
		t.Errorf("over a store in use: %v", err)
	}
}
