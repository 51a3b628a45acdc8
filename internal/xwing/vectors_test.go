//go:build !js

package xwing

import (
	"bytes"
	"crypto/ecdh"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/vectortest"
)

// X-Wing in the vectors of HPKE: seed, public key, encapsulation and shared secret
// (draft-ietf-hpke-pq). Its AEADs there are others than ours, so the composition is
// held against their shared secrets, and against crypto/hpke for what follows.
func TestSharedSecretsOfHPKEVectors(t *testing.T) {
	found := 0
	for _, path := range vectortest.HPKEFiles(t) {
		var vectors []struct {
			KEM        uint16 `json:"kem_id"`
			SKRm, PKRm vectortest.Hex
			Enc        vectortest.Hex
			Shared     vectortest.Hex `json:"shared_secret"`
		}
		vectortest.Read(t, &vectors, path)
		for _, v := range vectors {
			if v.KEM != 0x647a {
				continue
			}
			found++
			k, err := newComposedPrivate(v.SKRm)
			if err != nil || !bytes.Equal(k.PublicKey(), v.PKRm) {
				t.Fatalf("seed %x gives another key: %v", v.SKRm, err)
			}
			if got := decapsulate(t, k, v.Enc); !bytes.Equal(got, v.Shared) {
				t.Errorf("shared secret %x, want %x", got, v.Shared)
			}
			for _, at := range []int{0, ciphertextPQ - 1, ciphertextPQ, EncapSize - 2} {
				bad := slices.Clone(v.Enc)
				if bad[at] ^= 1; bytes.Equal(decapsulate(t, k, bad), v.Shared) {
					t.Errorf("byte %d of the encapsulation does not matter", at)
				}
			}
		}
	}
	if found < 2 {
		t.Errorf("%d vectors with X-Wing", found)
	}
}

func decapsulate(t *testing.T, k *composedPrivate, enc []byte) []byte {
	t.Helper()
	pq, err := k.pq.Decapsulate(enc[:ciphertextPQ])
	if err != nil {
		t.Fatal(err)
	}
	ephemeral, err := ecdh.X25519().NewPublicKey(enc[ciphertextPQ:])
	if err != nil {
		t.Fatal(err)
	}
	classical, err := k.t.ECDH(ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	return combine(pq, classical, enc[ciphertextPQ:], k.t.PublicKey().Bytes())
}
