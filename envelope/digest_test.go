package envelope

import (
	"bytes"
	"encoding/hex"
	"hash"
	"testing"

	"golang.org/x/crypto/blake2b"
)

func hexOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// BLAKE2b-512 of RFC 7693: the example of its appendix A, and the self-test of its
// appendix E over all sizes, with and without keys.
func TestBLAKE2b(t *testing.T) {
	want := hexOf(t, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"+
		"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")
	h := newBLAKE2b()
	h.Write([]byte("abc"))
	if got := h.Sum(nil); !bytes.Equal(got, want) {
		t.Errorf("of abc: %x", got)
	}
	if got := headerDigest("a", []byte("bc")); !bytes.Equal(got, want) {
		t.Errorf("of a label and a header: %x", got)
	}
	d := streamDigest{total: newBLAKE2b(), segment: newBLAKE2b(), room: []byte("ab")}
	for range 2 {
		if got := d.add([]byte("c")); !bytes.Equal(got[:], want) {
			t.Errorf("of a segment: %x", *got)
		}
	}
	all := sized(t, 32, nil)
	for _, size := range []int{20, 32, 48, 64} {
		for _, n := range []int{0, 3, 128, 129, 255, 1024} {
			in, key := selfTestInput(n), selfTestInput(size)
			for _, key := range [][]byte{nil, key} {
				h := sized(t, size, key)
				if size == 64 && key == nil {
					h = newBLAKE2b()
				}
				h.Write(in)
				all.Write(h.Sum(nil))
			}
		}
	}
	if got := all.Sum(nil); !bytes.Equal(got, hexOf(t, "c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475")) {
		t.Errorf("the self-test gives %x", got)
	}
}

func sized(t *testing.T, size int, key []byte) hash.Hash {
	t.Helper()
	h, err := blake2b.New(size, key)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// selfTestInput is selftest_seq of RFC 7693, seeded with the size.
func selfTestInput(n int) []byte {
	out := make([]byte, n)
	a, b := uint32(0xDEAD4BAD)*uint32(n), uint32(1)
	for i := range out {
		a, b = b, a+b
		out[i] = byte(b >> 24)
	}
	return out
}
