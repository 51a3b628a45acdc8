//go:build !js

package envelope

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"testing"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
)

// A key that must not seal leaves the plaintext, which is padded where its
// ciphertext would stand, to nobody.
func TestNoPlaintextIsLeftByAKeyThatDoesNotSeal(t *testing.T) {
	take := func(kind keyset.Type) *keyio.TinkKeyset {
		return made(keyio.ReadCleartextTinkKeyset(made(made(keyset.Generate(kind)).Append(nil)), keyio.TinkBinary, insecurecleartext.Token{}))
	}
	uncounted := made(keyio.ImportSharedKeyset(take(keyset.AESGCM), take(keyset.HMAC)))
	s := Sealer{Shared: uncounted, Party: "a", ToParty: "b"}
	dst := make([]byte, 0, 4096)
	if got, err := s.Seal(dst, []byte(marker)); got != nil || !errors.Is(err, keys.ErrSealLimit) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if bytes.Contains(dst[:cap(dst)], []byte(marker)) {
		t.Error("the plaintext stands behind dst")
	}
}

// What is too long for one message is refused before it is looked at.
func TestSealRefusesTooMuch(t *testing.T) {
	if slowtest.Mode || bits.UintSize == 32 {
		t.Skip("2 GiB of zeros cost something here")
	}
	l := links(t)[0]
	l.Sealer.Padding = NoPadding()
	if got, err := l.Seal(nil, make([]byte, maxPlaintext+1)); got != nil || err == nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A signer outside that fails, or returns what is no signature, fails the message.
func TestSignerFails(t *testing.T) {
	broken := errors.New("agent is gone")
	for name, c := range map[string]struct {
		sign func(message []byte) ([]byte, error)
		want error
	}{
		"an error":      {func([]byte) ([]byte, error) { return nil, broken }, broken},
		"nothing":       {func([]byte) ([]byte, error) { return nil, nil }, nil},
		"one byte less": {func([]byte) ([]byte, error) { return make([]byte, 63), nil }, nil},
		"one byte more": {func([]byte) ([]byte, error) { return make([]byte, 65), nil }, nil},
	} {
		outside := &outsideSigner{identity(t, "key").Signer(), nil}
		alice, err := keys.GenerateIdentityWith("alice", identity(t, "root").Signer(), outside)
		if err != nil {
			t.Fatal(err)
		}
		outside.sign = c.sign
		for _, l := range links(t)[1:] {
			s := l.Sealer
			s.From = alice
			_, err := s.Seal(nil, []byte("m"))
			_, streamErr := s.NewWriter(io.Discard)
			for _, err := range []error{err, streamErr} {
				if err == nil || errors.Is(err, ErrOpen) || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%s, %s: %v", l.name, name, err)
				}
			}
			outside.sign = nil // for the opening proof
			w, err := s.NewWriter(io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			outside.sign = c.sign
			if err := w.Finish(); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s, %s: Finish: %v", l.name, name, err)
			}
		}
	}
}

type outsideSigner struct {
	keys.Signer
	sign func([]byte) ([]byte, error)
}

func (s *outsideSigner) Sign(message []byte) ([]byte, error) {
	if s.sign == nil {
		return s.Signer.Sign(message)
	}
	return s.sign(message)
}
