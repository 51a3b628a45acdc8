//go:build !js

package envelope

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	tinkaead "github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
	"github.com/hopseal/hopseal/keys/keystore"
)

// Keysets of AES256_GCM keys come from Tink, and seal from a store.

// tinkKeyset returns a new keyset, and its bytes in Tink's own form.
func tinkKeyset(kind keyset.Type) (*keyio.TinkKeyset, []byte) {
	b := made(made(keyset.Generate(kind)).Append(nil))
	return made(keyio.ReadCleartextTinkKeyset(b, keyio.TinkBinary, insecurecleartext.Token{})), b
}

// importedAESKeyset returns a shared keyset that is in no store yet, and the keyset
// of its AEAD as Tink reads it.
func importedAESKeyset() (shared *keys.SharedKeyset, aead []byte) {
	aeads, aead := tinkKeyset(keyset.AESGCM)
	macs, _ := tinkKeyset(keyset.HMAC)
	return made(keyio.ImportSharedKeyset(aeads, macs)), aead
}

// aesKeyset returns one that is in a store, and a copy of it that is in none.
func aesKeyset(t *testing.T) (inStore, parsed *keys.SharedKeyset, store *keystore.Store, aead []byte) {
	t.Helper()
	inStore, aead = importedAESKeyset()
	store = testStore(t, "alice")
	must(store.PutSharedKeyset("s", inStore))
	b := made(inStore.MarshalCleartext(insecurecleartext.Token{}))
	return inStore, made(keys.ParseCleartextSharedKeyset(b, insecurecleartext.Token{})), store, aead
}

// aesLinks returns a link for each shared suite. The opener has a copy, which only
// opens.
func aesLinks(t *testing.T) []link {
	t.Helper()
	inStore, parsed, _, _ := aesKeyset(t)
	all := links(t)[:2]
	for i := range all {
		all[i].name += ", AES"
		all[i].Sealer.Shared, all[i].Opener.Shared = inStore, parsed
	}
	return all
}

func TestAESRoundTrip(t *testing.T) {
	for i, l := range aesLinks(t) {
		for _, n := range []int{0, 1, 60, 61, 1000, 65536, 1 << 20} {
			plaintext := looksRandom(n)
			sealed, err := l.Seal([]byte("before"), plaintext)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := l.Open([]byte("dst"), sealed[len("before"):])
			if err != nil || !bytes.Equal(got, append([]byte("dst"), plaintext...)) {
				t.Fatalf("%s, %d bytes: %v", l.name, n, err)
			}
		}
		// 12 bytes less than TestOverhead has for XAES.
		if got, want := len(seal(t, &l.Sealer, strings.Repeat("x", 64))), []int{238 - 12, 335 - 12}[i]; got != want {
			t.Errorf("%s: 64 bytes become %d, want %d", l.name, got, want)
		}
	}
}

// A10, A30: of a message under an AES256_GCM key, too, whatever is changed, cut off
// or added, nothing comes out.
func TestA10AESEveryBitEveryPrefixEveryExtension(t *testing.T) {
	for _, l := range aesLinks(t) {
		l.refusesEveryChange(t)
	}
}

// A19: under an AES256_GCM key no nonce, key or id repeats.
func TestA19AESNothingRepeats(t *testing.T) {
	for _, l := range aesLinks(t) {
		seen := map[string]bool{}
		for range 100 {
			p, _ := parseParts(seal(t, &l.Sealer, "same"))
			for _, v := range []string{string(p.body[:12]), string(p.body[12:]), string(p.proof)} {
				if seen[v] {
					t.Fatalf("%s: a nonce, ciphertext or proof repeats", l.name)
				}
				seen[v] = true
			}
		}
	}
}

// A19: where nothing counts its messages, and where they are used up, a Sealer says
// so and gives nothing out. A stream takes a key of its own, and needs no counting.
func TestA19AESSealerTellsTheLimit(t *testing.T) {
	_, parsed, store, _ := aesKeyset(t)
	backup := made(store.MarshalCleartext(insecurecleartext.Token{}))
	secret := keystore.Passphrase([]byte("upriver lagoon cassette mulberry trombone"))
	restored := made(keystore.Restore(t.Context(), filepath.Join(t.TempDir(), "s"), secret, backup, insecurecleartext.Token{}))
	t.Cleanup(func() { restored.Close() })
	spent, _ := restored.SharedKeyset("s")
	refused := func(shared *keys.SharedKeyset, what string) {
		t.Helper()
		for _, l := range aesLinks(t) {
			l.Sealer.Shared, l.Opener.Shared = shared, parsed
			if got, err := l.Seal(nil, []byte("m")); !errors.Is(err, keys.ErrSealLimit) || errors.Is(err, ErrOpen) || got != nil {
				t.Errorf("%s, %s: %x, %v", l.name, what, got, err)
			}
			stream := streamOf(&l.Sealer, []byte("content"))
			if got, err := openStream(&l.Opener, stream); err != nil || string(got) != "content" {
				t.Errorf("%s, %s: a stream gives %q, %v", l.name, what, got, err)
			}
		}
	}
	refused(parsed, "a copy")
	refused(spent, "used up")
	if _, err := restored.Rotate(keystore.RotationPolicy{}); err != nil {
		t.Fatal(err)
	}
	l := links(t)[0]
	l.Sealer.Shared, l.Opener.Shared = spent, spent
	if got, _, err := l.Open(nil, seal(t, &l.Sealer, "m")); err != nil || string(got) != "m" {
		t.Errorf("after the rotation: %q, %v", got, err)
	}
}

// A21, A24: with the same two keys, a pair of XAES-256-GCM and one of AES-256-GCM are
// two: what is sealed under the one is for others at the other.
func TestA24SameKeysOfTheOtherType(t *testing.T) {
	secret, macs := looksRandom(32), made(keyset.Generate(keyset.HMAC))
	of := func(kind keyset.Type) *keys.SharedKeyset {
		set := made(keyset.Generate(kind))
		set.Keys[0].Secret = secret
		read := func(k keyset.Keyset) *keyio.TinkKeyset {
			return made(keyio.ReadCleartextTinkKeyset(made(k.Append(nil)), keyio.TinkBinary, insecurecleartext.Token{}))
		}
		shared := made(keyio.ImportSharedKeyset(read(set), read(macs)))
		must(testStore(t, "alice").PutSharedKeyset("s", shared))
		return shared
	}
	aes, xaes := of(keyset.AESGCM), of(keyset.XAESGCM)
	for _, l := range links(t)[:2] {
		for _, pair := range [][2]*keys.SharedKeyset{{aes, xaes}, {xaes, aes}} {
			l.Sealer.Shared, l.Opener.Shared = pair[0], pair[1]
			sealed := seal(t, &l.Sealer, "m")
			if got, _, err := l.Open(nil, sealed); !errors.Is(err, ErrOpen) || got != nil {
				t.Errorf("%s: %q, %v", l.name, got, err)
			}
			l.Opener.Shared = pair[0]
			if _, _, err := l.Open(nil, sealed); err != nil {
				t.Errorf("%s: %v", l.name, err)
			}
		}
	}
}

// The body is what Tink's AES256_GCM gives behind its prefix, both ways.
func TestAESBodyIsTinks(t *testing.T) {
	inStore, parsed, _, b := aesKeyset(t)
	handle := made(insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(b))))
	var theirs tink.AEAD = made(tinkaead.New(handle))
	prefix := made(theirs.Encrypt(nil, nil))[:5]
	l := links(t)[0]
	l.Sealer.Shared, l.Opener.Shared = inStore, parsed
	p, err := parseParts(seal(t, &l.Sealer, "attack at dawn"))
	if err != nil {
		t.Fatal(err)
	}
	aad := labelled("envelope body", p.header)
	if got, err := theirs.Decrypt(append(prefix, p.body...), aad); err != nil || !bytes.Equal(got, paddedOf([]byte("attack at dawn"))) {
		t.Errorf("Tink opens ours as %q, %v", got, err)
	}
	p.body = made(theirs.Encrypt(paddedOf([]byte("sealed by Tink")), aad))[5:]
	digest := sha(labelled("envelope digest", lengthPrefixed(p.header, nil, p.body, []byte("b"))))
	p.proof = inStore.Primary().MAC(nil, labelled("envelope proof hmac", digest))
	if got, _, err := l.Open(nil, p.append(nil)); err != nil || string(got) != "sealed by Tink" {
		t.Errorf("what Tink sealed opens as %q, %v", got, err)
	}
}
