package xaes

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The first two vectors of https://c2sp.org/XAES-256-GCM, one for each value of
// the top bit that the CMAC subkey depends on.
func TestSpecificationVectors(t *testing.T) {
	nonce, plaintext := []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM")
	for _, v := range []struct {
		key  byte
		aad  string
		want string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		a, err := New(bytes.Repeat([]byte{v.key}, KeySize))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := hex.DecodeString(v.want)
		if got := a.message(nonce).Seal(nil, nonce[12:], plaintext, []byte(v.aad)); !bytes.Equal(got, want) {
			t.Errorf("key %02x: sealed %x, want %x", v.key, got, want)
		}
		got, err := a.Open(nil, append(bytes.Clone(nonce), want...), []byte(v.aad))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("key %02x: opened %q, %v", v.key, got, err)
		}
	}
}

func TestEveryBitAndEveryPrefix(t *testing.T) {
	a, _ := New(make([]byte, KeySize))
	sealed := a.Seal(nil, []byte("message"), []byte("aad"))
	if len(sealed) != len("message")+Overhead {
		t.Fatalf("sealed to %d bytes", len(sealed))
	}
	for bit := range 8 * len(sealed) {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		if got, err := a.Open(nil, changed, []byte("aad")); err == nil || got != nil {
			t.Fatalf("bit %d changed: opened", bit)
		}
	}
	for n := range sealed {
		if _, err := a.Open(nil, sealed[:n], []byte("aad")); err == nil {
			t.Fatalf("%d bytes of %d: opened", n, len(sealed))
		}
	}
	if _, err := a.Open(nil, sealed, []byte("other")); err == nil {
		t.Error("opened with other associated data")
	}
}

func TestSealInPlaceAndAppend(t *testing.T) {
	a, _ := New(make([]byte, KeySize))
	buffer := make([]byte, 3, 200)
	copy(buffer, "dst")
	plaintext := append(buffer[:3+NonceSize], "message"...)[3+NonceSize:]
	sealed := a.Seal(buffer, plaintext, nil)
	if string(sealed[:3]) != "dst" {
		t.Error("what stood in dst is gone")
	}
	got, err := a.Open([]byte("dst"), sealed[3:], nil)
	if err != nil || string(got) != "dstmessage" {
		t.Errorf("opened %q, %v", got, err)
	}
}
