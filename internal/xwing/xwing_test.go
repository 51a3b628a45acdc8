package xwing

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"testing"
)

func seed(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, SeedSize)
	rand.Read(b)
	return b
}

func sealStd(t *testing.T, public, info, plaintext []byte) []byte {
	t.Helper()
	key, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func openStd(seed, info, sealed []byte) ([]byte, error) {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, err
	}
	return hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
}

// The composition and crypto/hpke are one: both directions, keys included.
func TestComposedIsHPKE(t *testing.T) {
	plaintext := []byte("a content key of thirty-two byte")
	for _, info := range [][]byte{nil, {0}, bytes.Repeat([]byte("info"), 100)} {
		s := seed(t)
		private, err := newComposedPrivate(s)
		if err != nil {
			t.Fatal(err)
		}
		std, err := hpke.MLKEM768X25519().NewPrivateKey(s)
		if err != nil || !bytes.Equal(std.PublicKey().Bytes(), private.PublicKey()) || len(private.PublicKey()) != PublicSize {
			t.Fatalf("public keys differ: %v", err)
		}
		if got, err := private.Open(info, sealStd(t, private.PublicKey(), info, plaintext)); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("crypto/hpke's opens as %q, %v", got, err)
		}
		public, err := newComposedPublic(private.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := public.Seal(info, plaintext)
		if err != nil || len(sealed) != len(plaintext)+Overhead {
			t.Fatalf("%d bytes, %v", len(sealed), err)
		}
		if got, err := openStd(s, info, sealed); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("crypto/hpke opens ours as %q, %v", got, err)
		}
	}
}

func TestEveryByteMatters(t *testing.T) {
	s := seed(t)
	private, err := newComposedPrivate(s)
	if err != nil {
		t.Fatal(err)
	}
	sealed := sealStd(t, private.PublicKey(), []byte("info"), []byte("m"))
	for i := range sealed {
		sealed[i] ^= 1
		ours, ourErr := private.Open([]byte("info"), sealed)
		if _, err := openStd(s, []byte("info"), sealed); (err == nil) != (ourErr == nil) || ourErr != errOpen || ours != nil {
			t.Errorf("byte %d changed: ours %v, crypto/hpke's %v", i, ourErr, err)
		}
		sealed[i] ^= 1
	}
	for n := range sealed {
		if _, err := private.Open([]byte("info"), sealed[:n]); err != errOpen {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := private.Open([]byte("other"), sealed); err != errOpen {
		t.Errorf("other info: %v", err)
	}
}

// What crypto/hpke refuses as a key, the composition refuses too.
func TestBadKeys(t *testing.T) {
	private, err := newComposedPrivate(seed(t))
	if err != nil {
		t.Fatal(err)
	}
	modulus := private.PublicKey()
	modulus[0], modulus[1] = 0xff, 0xff // a coefficient of 4095
	lowOrder := append(private.PublicKey()[:PublicSize-32], make([]byte, 32)...)
	for name, public := range map[string][]byte{
		"short": modulus[:PublicSize-1], "long": append(private.PublicKey(), 0), "modulus": modulus, "nothing": nil,
	} {
		_, err := newComposedPublic(public)
		if _, std := hpke.MLKEM768X25519().NewPublicKey(public); std == nil || err != errKey {
			t.Errorf("%s: ours %v, crypto/hpke's %v", name, err, std)
		}
	}
	if public, err := newComposedPublic(lowOrder); err == nil {
		if _, err := public.Seal(nil, []byte("m")); err == nil {
			t.Error("seals to a point of low order")
		}
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := newComposedPrivate(make([]byte, n)); err != errKey {
			t.Errorf("a seed of %d bytes: %v", n, err)
		}
	}
}
