package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// aesKeyset returns a shared keyset with one AES256_GCM key that is in no store.
func aesKeyset(t testing.TB) *SharedKeyset {
	t.Helper()
	now := time.Now()
	s := &sharedState{aeads: must(ring.New(keyset.AESGCM, now)), macs: must(ring.New(keyset.HMAC, now))}
	if err := s.load(nil); err != nil {
		t.Fatal(err)
	}
	return newSharedKeyset(s)
}

// sealedOutside is what another implementation seals under the primary.
func sealedOutside(t *testing.T, s *SharedKeyset, plaintext, aad string) []byte {
	t.Helper()
	k := must(s.state.Load().aeads.Set.Keyset())
	gcm := must(cipher.NewGCM(must(aes.NewCipher(k.Keys[s.state.Load().aeads.Primary()].Secret))))
	nonce := []byte("twelve bytes")
	return gcm.Seal(nonce, nonce, []byte(plaintext), []byte(aad))
}

func TestAESKeysetComesBack(t *testing.T) {
	s := aesKeyset(t)
	s.state.Load().reserved[0] = 12345
	raw := must(s.MarshalCleartext(insecurecleartext.Token{}))
	got, err := ParseCleartextSharedKeyset(raw, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	if again := must(got.MarshalCleartext(insecurecleartext.Token{})); !bytes.Equal(again, raw) {
		t.Errorf("written again as %x, want %x", again, raw)
	}
	key, known := got.Key(s.Primary().ID())
	if !known || key.Overhead() != 28 {
		t.Fatal("the pair is another one")
	}
	if data, err := key.Open([]byte("dst "), sealedOutside(t, s, "m", "aad"), []byte("aad")); err != nil || string(data) != "dst m" {
		t.Error(err)
	}
	if !key.VerifyMAC([]byte("m"), s.Primary().MAC(nil, []byte("m"))) {
		t.Error("MAC")
	}
	a, b := must(s.Primary().StreamKey([]byte("salt"), []byte("info"))), must(key.StreamKey([]byte("salt"), []byte("info")))
	if !bytes.Equal(a, b) {
		t.Error("stream keys differ")
	}
}

// A19: an AES256_GCM key does not seal if nothing counts its messages. It derives stream keys, which
// need no counting.
func TestA19AESWithoutAStoreOnlyOpens(t *testing.T) {
	s := aesKeyset(t)
	s.state.Load().reserved[0] = 100 // another's, and spent
	parsed := must(ParseCleartextSharedKeyset(must(s.MarshalCleartext(insecurecleartext.Token{})), insecurecleartext.Token{}))
	for name, set := range map[string]*SharedKeyset{"made": s, "parsed": parsed} {
		for range 3 {
			got, err := set.Primary().Seal([]byte("dst"), []byte("m"), nil)
			if !errors.Is(err, ErrSealLimit) || got != nil {
				t.Errorf("%s: sealed %x, %v", name, got, err)
			}
		}
		if _, err := set.Primary().Open(nil, sealedOutside(t, s, "m", "aad"), []byte("aad")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := set.Primary().StreamKey([]byte("salt"), []byte("info")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAESOpenRefusesEveryChange(t *testing.T) {
	s := aesKeyset(t)
	sealed := sealedOutside(t, s, "attack at dawn", "aad")
	refused := func(b, aad []byte, what string, at int) {
		t.Helper()
		dst := make([]byte, 0, 100)
		got, err := s.Primary().Open(dst, b, aad)
		if err == nil || err.Error() != errOpen.Error() || got != nil || bytes.Contains(dst[:cap(dst)], []byte("attack")) {
			t.Fatalf("%s %d: %q, %v", what, at, got, err)
		}
	}
	for bit := range 8 * len(sealed) {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		refused(changed, []byte("aad"), "bit", bit)
	}
	for n := range sealed {
		refused(sealed[:n], []byte("aad"), "prefix", n)
	}
	refused(append(bytes.Clone(sealed), 0), []byte("aad"), "extension", 1)
	refused(sealed, []byte("other"), "associated data", 1)
}

// A24: a pair with XAES-256-GCM and one with AES-256-GCM of the same two keys have different ids, by
// the documented text. Neither opens what the other sealed.
func TestA24IDNamesOneKind(t *testing.T) {
	a, m := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	pairs := map[string]*SharedKey{
		"XAesGcmKey salt 12\x00HmacKey SHA256 32\x00": must(newSharedKey(keyset.XAESGCM, a, m)),
		"AesGcmKey 32\x00HmacKey SHA256 32\x00":       must(newSharedKey(keyset.AESGCM, a, m)),
	}
	for text, k := range pairs {
		want := must(hkdf.Key(sha256.New, slices.Concat(a, m), nil, "hopseal/1 keys shared key id\x00"+text, 32))
		if id := k.ID(); !bytes.Equal(id[:], want) {
			t.Errorf("%q: id %x, want %x", text, id, want)
		}
		sealed := k.aead.Seal(nil, []byte("m"), nil)
		for other, o := range pairs {
			if got, err := o.Open(nil, sealed, nil); (err == nil) != (other == text) {
				t.Errorf("what %q sealed opens by %q as %q, %v", text, other, got, err)
			}
		}
	}
}

// A24, A30: a keyset's version says which keys it holds, and the keyset has one encoding.
func TestA24KeysetVersionIsTheKeys(t *testing.T) {
	xaes, aesState := must(GenerateSharedKeyset()).state.Load(), aesKeyset(t).state.Load()
	encode := func(values int, version uint64, s *sharedState, reserved ...uint64) []byte {
		b := strict.AppendUint(strict.AppendArray(nil, values), version)
		b = must(s.macs.Append(must(s.aeads.Append(b))))
		if reserved != nil {
			b = strict.AppendArray(b, len(reserved))
			for _, n := range reserved {
				b = strict.AppendUint(b, n)
			}
		}
		return b
	}
	parse := func(b []byte) error {
		_, err := ParseCleartextSharedKeyset(b, insecurecleartext.Token{})
		return err
	}
	for name, b := range map[string][]byte{
		"XAES": encode(3, 1, xaes), "AES": encode(4, 2, aesState, 0), "AES that is spent": encode(4, 2, aesState, maxSealed),
	} {
		if err := parse(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := encode(4, 2, aesState, 1)
	for name, b := range map[string][]byte{
		"AES as version 1":           encode(3, 1, aesState),
		"AES as version 1, reserved": encode(4, 1, aesState, 0),
		"AES without reserved":       encode(3, 2, aesState),
		"XAES as version 2":          encode(4, 2, xaes, 0),
		"XAES with reserved":         encode(4, 1, xaes, 0),
		"version 0":                  encode(2, 0, xaes),
		"version 0 of three":         encode(3, 0, xaes),
		"version 3":                  encode(5, 3, aesState, 0),
		"version 3 of four":          encode(4, 3, aesState, 0),
		"a count too few":            encode(4, 2, aesState, []uint64{}...),
		"a count too many":           encode(4, 2, aesState, 0, 0),
		"more than a key seals":      encode(4, 2, aesState, maxSealed+1),
		"a long integer":             append(whole[:len(whole)-1:len(whole)-1], 0xcc, 1),
		"a trailing byte":            append(bytes.Clone(whole), 0),
		"halves exchanged":           encode(4, 2, &sharedState{aeads: aesState.macs, macs: aesState.aeads}, 0),
	} {
		if err := parse(b); !errors.Is(err, ErrSharedKeyset) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range whole {
		if err := parse(whole[:n]); !errors.Is(err, ErrSharedKeyset) {
			t.Fatalf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
}

func FuzzParseSharedKeyset(f *testing.F) {
	f.Add(must(must(GenerateSharedKeyset()).MarshalCleartext(insecurecleartext.Token{})))
	f.Add(must(aesKeyset(f).MarshalCleartext(insecurecleartext.Token{})))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			s, err := ParseCleartextSharedKeyset(b, insecurecleartext.Token{})
			if err != nil {
				return nil, err
			}
			return s.MarshalCleartext(insecurecleartext.Token{})
		})
	})
}
