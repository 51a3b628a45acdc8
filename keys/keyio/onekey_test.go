//go:build !js

package keyio

import (
	"errors"
	"testing"

	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/hopseal/hopseal/internal/keyset"
)

// Import refuses one key for two purposes, wherever it is in the two keysets.
func TestImportRefusesOneKeyForTwoPurposes(t *testing.T) {
	same := func(a, b keyset.Type, from, to int) (*TinkKeyset, *TinkKeyset) {
		t.Helper()
		one := proto(tinkMade(0, params(a, keyset.PrefixTink), params(a, keyset.PrefixTink)))
		other := proto(tinkMade(0, params(b, keyset.PrefixTink), params(b, keyset.PrefixTink)))
		k, err := takeTinkKeyset(one)
		if err != nil {
			t.Fatal(err)
		}
		l, err := takeTinkKeyset(other)
		if err != nil {
			t.Fatal(err)
		}
		l.Keys[to].Secret = k.Keys[from].Secret
		return tinkKeysetOf(t, k), tinkKeysetOf(t, l)
	}
	for _, aead := range []keyset.Type{keyset.XAESGCM, keyset.AESGCM} {
		for _, at := range [][2]int{{0, 0}, {1, 1}, {0, 1}, {1, 0}} {
			_, err := ImportSharedKeyset(same(aead, keyset.HMAC, at[0], at[1]))
			if reasonOf(err) != TinkSharedKey {
				t.Errorf("%v, %v: %v", aead, at, err)
			}
		}
	}
}

func tinkKeysetOf(t *testing.T, k keyset.Keyset) *TinkKeyset {
	t.Helper()
	b, err := k.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := tinkKeyset(k.Keys[0].Type, b)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The error for a keyset without a working primary says so, and names the key.
func TestTinkKeysetsWithoutAPrimary(t *testing.T) {
	for name, change := range map[string]func(*tinkpb.Keyset){
		"disabled":  func(k *tinkpb.Keyset) { k.Key[0].Status = tinkpb.KeyStatusType_DISABLED },
		"destroyed": func(k *tinkpb.Keyset) { k.Key[0].Status = tinkpb.KeyStatusType_DESTROYED },
		"missing":   func(k *tinkpb.Keyset) { k.Key = k.Key[1:] },
	} {
		k := proto(tinkMade(0, params(keyset.Ed25519, keyset.PrefixTink), params(keyset.Ed25519, keyset.PrefixTink)))
		change(k)
		for _, f := range tinkFormats {
			_, err := ReadCleartextTinkKeyset(written(f, k), f, cleartext)
			var taken *TinkKeysetError
			if !errors.As(err, &taken) || taken.Reason != TinkPrimary || taken.KeyID != k.PrimaryKeyId {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
