package keys

import (
	"errors"
	"testing"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// A store or a backup in which one key has two purposes is refused.
func TestSharedKeysetWithOneKeyForBothIsRefused(t *testing.T) {
	k, err := GenerateSharedKeyset()
	if err != nil {
		t.Fatal(err)
	}
	s := k.state.Load()
	aeads, err := s.aeads.Set.Keyset()
	if err != nil {
		t.Fatal(err)
	}
	macs, err := s.macs.Set.Keyset()
	if err != nil {
		t.Fatal(err)
	}
	macs.Keys[0].Secret = aeads.Keys[0].Secret
	bad := &sharedState{aeads: s.aeads, macs: ring.Ring{Kind: keyset.HMAC, Set: must(ring.ParseSet(must(macs.Append(nil)))), Lives: s.macs.Lives}}
	b, err := bad.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCleartextSharedKeyset(b, insecurecleartext.Token{}); !errors.Is(err, ErrSharedKeyset) {
		t.Errorf("%v", err)
	}
}
