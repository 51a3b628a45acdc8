//go:build !js

package keys

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha512"
	"math/big"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/vectortest"
)

// cases runs a test over all cases of a file.
func cases(t *testing.T, name string, atLeast int, run func(t *testing.T, c vectortest.Case)) {
	t.Helper()
	for _, g := range vectortest.Groups(t, name, atLeast) {
		for _, c := range g.Tests {
			run(t, c)
		}
	}
}

func TestWycheproofEd25519(t *testing.T) {
	for _, g := range vectortest.Groups(t, "ed25519_test.json", 151) {
		key := ed25519.PublicKey(g.PublicKey.PK)
		k := VerifyingKey{id: signingKeyID(key)}
		copy(k.public[:], key)
		for _, c := range g.Tests {
			if k.Verify(c.Msg, c.Sig) != c.Valid() {
				t.Errorf("case %v (%v): not %v", c.TcID, c.Comment, c.Result)
			}
		}
	}
}

// An X-Wing key is refused if its X25519 key would let others share a secret, or has two encodings.
// Every other one is accepted. The standard library agrees on the secrets.
func TestWycheproofX25519(t *testing.T) {
	mlkemHalf := must(keyset.Generate(keyset.XWing)).Keys[0].Public[:1184]
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	cases(t, "x25519_test.json", 518, func(t *testing.T, c vectortest.Case) {
		lowOrder := bytes.Equal(c.Shared, make([]byte, 32))
		reversed := slices.Clone(c.Public)
		slices.Reverse(reversed)
		canonical := new(big.Int).SetBytes(reversed).Cmp(prime) < 0
		err := checkXWing(slices.Concat(mlkemHalf, c.Public))
		if want := canonical && !lowOrder; (err == nil) != want {
			t.Errorf("case %v (%v, %v): %v", c.TcID, c.Comment, c.Flags, err)
		}
		for flag, refused := range map[string]bool{"LowOrderPublic": true, "NonCanonicalPublic": true, "Normal": false} {
			if slices.Contains(c.Flags, flag) && refused == (err == nil) {
				t.Errorf("case %v: %s and %v", c.TcID, flag, err)
			}
		}
		shared, err := must(ecdh.X25519().NewPrivateKey(c.Private)).ECDH(must(ecdh.X25519().NewPublicKey(c.Public)))
		if lowOrder != (err != nil) || !lowOrder && !bytes.Equal(shared, c.Shared) {
			t.Errorf("case %v: secret %x, %v", c.TcID, shared, err)
		}
	})
}

// An X-Wing key is refused if its ML-KEM key is outside the modulus or has another size (FIPS 203,
// section 7.2).
func TestWycheproofMLKEMKeys(t *testing.T) {
	x25519Half := must(keyset.Generate(keyset.XWing)).Keys[0].Public[1184:]
	refused := 0
	cases(t, "mlkem_768_encaps_test.json", 265, func(t *testing.T, c vectortest.Case) {
		err := checkXWing(slices.Concat(c.EK, x25519Half))
		if c.Valid() != (err == nil) {
			t.Errorf("case %v (%v): %v", c.TcID, c.Flags, err)
		}
		if err != nil {
			refused++
		}
	})
	if refused < 100 {
		t.Errorf("%d keys were refused", refused)
	}
	cases(t, "mlkem_768_keygen_seed_test.json", 100, func(t *testing.T, c vectortest.Case) {
		key := must(mlkem.NewDecapsulationKey768(c.Seed))
		if !bytes.Equal(key.EncapsulationKey().Bytes(), c.EK) {
			t.Errorf("case %v: another key", c.TcID)
		}
		if err := checkXWing(slices.Concat(c.EK, x25519Half)); err != nil {
			t.Errorf("case %v: %v", c.TcID, err)
		}
	})
	cases(t, "mlkem_768_test.json", 193, func(t *testing.T, c vectortest.Case) {
		key, err := mlkem.NewDecapsulationKey768(c.Seed)
		if err != nil {
			if c.Valid() {
				t.Errorf("case %v: %v", c.TcID, err)
			}
			return
		}
		shared, err := key.Decapsulate(c.C)
		if c.Valid() != (err == nil) || err == nil && !bytes.Equal(shared, c.K) {
			t.Errorf("case %v (%v): %x, %v", c.TcID, c.Comment, shared, err)
		}
	})
}

// The HMAC of a pair is never truncated: a tag of 16 bytes does not verify, even if it is the first
// part of the right one.
func TestWycheproofHMAC(t *testing.T) {
	whole := 0
	for _, g := range vectortest.Groups(t, "hmac_sha256_test.json", 174) {
		for _, c := range g.Tests {
			if g.KeySize != 256 {
				continue // no pair has such a key
			}
			k := must(newSharedKey(keyset.XAESGCM, make([]byte, 32), c.Key))
			if g.TagSize != 8*MACSize {
				if k.VerifyMAC(c.Msg, c.Tag) {
					t.Errorf("case %v: a tag of %d bits verifies", c.TcID, g.TagSize)
				}
				continue
			}
			whole++
			if k.VerifyMAC(c.Msg, c.Tag) != c.Valid() || c.Valid() && !bytes.Equal(k.MAC(nil, c.Msg), c.Tag) {
				t.Errorf("case %v (%v): not %v", c.TcID, c.Comment, c.Result)
			}
		}
	}
	if whole < 81 {
		t.Errorf("%d cases with whole tags", whole)
	}
}

// A08: edge cases of Ed25519 that verifiers disagree about. Keys of small order, and keys in a
// non-canonical encoding, do not come in. For the others the verifier is the strict one of RFC 8032
// without a cofactor, which recomputes R and compares its bytes.
func TestA08Ed25519EdgeCases(t *testing.T) {
	var vectors []struct {
		A, R, S vectortest.Hex
		M       string
		Flags   []string
	}
	vectortest.Read(t, &vectors, vectortest.ModuleDir(t, vectortest.Ed25519), "ed25519vectors.json")
	if len(vectors) < 768 {
		t.Fatalf("%d vectors", len(vectors))
	}
	kept := 0
	for i, v := range vectors {
		weak := slices.Contains(v.Flags, "LowOrderA") || slices.Contains(v.Flags, "NonCanonicalA")
		if (checkEd25519(v.A) != nil) != weak {
			t.Errorf("vector %d: key %x with %v: %v", i, v.A, v.Flags, checkEd25519(v.A))
		}
		if weak {
			continue
		}
		kept++
		k := VerifyingKey{id: signingKeyID(v.A)}
		copy(k.public[:], v.A)
		want := !slices.Contains(v.Flags, "LowOrderResidue") && !slices.Contains(v.Flags, "NonCanonicalR")
		if got := k.Verify([]byte(v.M), slices.Concat(v.R, v.S)); got != want {
			t.Errorf("vector %d with %v: verifies: %v", i, v.Flags, got)
		}
	}
	if kept == 0 {
		t.Error("every key was refused")
	}
}

// Under a key of small order one signature verifies any message. The standard library lets it pass;
// the check on entry does not let the key in.
func TestA08OneSignatureForEveryMessage(t *testing.T) {
	identity := append([]byte{1}, make([]byte, 31)...)
	sig := slices.Concat(identity, make([]byte, 32)) // R = identity, S = 0
	for i := range byte(100) {
		message := sha512.Sum512([]byte{i})
		if !ed25519.Verify(identity, message[:], sig) {
			t.Skip("the standard library has become strict")
		}
	}
	if checkEd25519(identity) == nil {
		t.Error("the identity point comes in")
	}
}

// These are the vectors of HPKE with X-Wing that come with Go: a seed gives the public key, and opens
// what was sealed to it. Tink has no vectors with X-Wing.
func TestHPKEXWingVectors(t *testing.T) {
	type vector struct {
		KEM        uint16 `json:"kem_id"`
		KDF        uint16 `json:"kdf_id"`
		AEAD       uint16 `json:"aead_id"`
		Info       vectortest.Hex
		SKRm, PKRm vectortest.Hex
		Enc        vectortest.Hex
		Encryption encryptions `json:"encryptions"`
		Exports    []struct {
			Context vectortest.Hex `json:"exporter_context"`
			L       int
			Value   vectortest.Hex `json:"exported_value"`
		}
	}
	const xwing = 0x647a
	found := 0
	for _, path := range vectortest.HPKEFiles(t) {
		var vectors []vector
		vectortest.Read(t, &vectors, path)
		for _, v := range vectors {
			if v.KEM != xwing {
				continue
			}
			found++
			if public, err := keyset.PublicOf(keyset.XWing, v.SKRm); err != nil || !bytes.Equal(public, v.PKRm) || checkXWing(v.PKRm) != nil {
				t.Errorf("%s: seed %x gives another key: %v", path, v.SKRm, err)
			}
			private := must(hpke.MLKEM768X25519().NewPrivateKey(v.SKRm))
			r, err := hpke.NewRecipient(v.Enc, private, must(hpke.NewKDF(v.KDF)), must(hpke.NewAEAD(v.AEAD)), v.Info)
			if err != nil {
				t.Fatal(err)
			}
			v.Encryption.open(t, r)
			for _, e := range v.Exports {
				if got, err := r.Export(string(e.Context), e.L); err != nil || !bytes.Equal(got, e.Value) {
					t.Errorf("exports %x, %v", got, err)
				}
			}
		}
	}
	if found < 2 {
		t.Errorf("%d vectors with X-Wing", found)
	}
}

// encryptions are messages sealed one after the other in one context.
type encryptions []struct{ AAD, CT, PT vectortest.Hex }

func (e encryptions) open(t *testing.T, r *hpke.Recipient) {
	t.Helper()
	if len(e) == 0 {
		t.Error("nothing to open")
	}
	for i, m := range e {
		if got, err := r.Open(m.AAD, m.CT); err != nil || !bytes.Equal(got, m.PT) {
			t.Errorf("message %d opens as %x, %v", i, got, err)
		}
	}
}
