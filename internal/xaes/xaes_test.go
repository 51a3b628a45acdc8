package xaes

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"os"
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

// The accumulated vectors of the specification: 10,000 random messages hashed in
// one, a million of them in the long tests.
func TestSpecificationAccumulated(t *testing.T) {
	n, want := 10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		n, want = 1_000_000, "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"
	}
	random, all := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(size int) []byte {
		b := make([]byte, size)
		random.Read(b)
		return b
	}
	upTo255 := func() []byte { return read(int(read(1)[0])) }
	for range n {
		key, nonce := read(KeySize), read(NonceSize)
		plaintext, aad := upTo255(), upTo255()
		a, err := New(key)
		if err != nil {
			t.Fatal(err)
		}
		sealed := a.message(nonce).Seal(nil, nonce[12:], plaintext, aad)
		if got, err := a.Open(nil, append(nonce, sealed...), aad); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("opened %x, %v", got, err)
		}
		all.Write(sealed)
	}
	sum := make([]byte, 32)
	all.Read(sum)
	if got := hex.EncodeToString(sum); got != want {
		t.Errorf("%d messages give %s, want %s", n, got, want)
	}
}
