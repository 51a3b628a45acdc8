package gcm

import (
	"bytes"
	"testing"
)

// What a Random seals, AES-256-GCM opens behind the nonce, and no two messages look alike.
func TestRandomHasItsNonceInFront(t *testing.T) {
	key, aad := bytes.Repeat([]byte{7}, KeySize), []byte("aad")
	r := NewRandom(key)
	sealed := r.Seal([]byte("dst "), []byte("message"), aad)
	body, ok := bytes.CutPrefix(sealed, []byte("dst "))
	if !ok || len(body) != len("message")+Overhead || r.Overhead() != Overhead {
		t.Fatalf("sealed %x", sealed)
	}
	if got, err := New(key).Open(nil, body[:NonceSize], body[NonceSize:], aad); err != nil || string(got) != "message" {
		t.Errorf("AES-256-GCM opens it as %q, %v", got, err)
	}
	if got, err := r.Open([]byte("dst "), body, aad); err != nil || string(got) != "dst message" {
		t.Errorf("opens as %q, %v", got, err)
	}
	if again := r.Seal(nil, []byte("message"), aad); bytes.Equal(again, body) {
		t.Error("one message was sealed to the same bytes twice")
	}
}

func TestRandomRefusesEveryChange(t *testing.T) {
	r := NewRandom(make([]byte, KeySize))
	sealed := r.Seal(nil, []byte("attack at dawn"), []byte("aad"))
	refused := func(b, aad []byte, what string, at int) {
		t.Helper()
		if got, err := r.Open(make([]byte, 0, 100), b, aad); err != errOpen || got != nil {
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
	refused(sealed, []byte("other"), "associated data", 1)
}

func TestOnly256Bits(t *testing.T) {
	for _, size := range []int{0, 16, 24, 31, 33} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a key of %d bytes was taken", size)
				}
			}()
			New(make([]byte, size))
		}()
	}
}
