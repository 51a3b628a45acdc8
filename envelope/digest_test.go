package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
)

func hexOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// SHA-256 of FIPS 180-4: the one-block example, by each way in which this package
// digests something.
func TestDigestsAreSHA256(t *testing.T) {
	want := hexOf(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
	s := getScratch()
	defer putScratch(s)
	s.begin("abc")
	if got := s.input(""); !bytes.Equal(got, want) {
		t.Errorf("of abc: %x", got)
	}
	if got := headerDigest("a", []byte("bc")); !bytes.Equal(got, want) {
		t.Errorf("of a label and a header: %x", got)
	}
	d := streamDigest{total: sha256.New(), segment: sha256.New(), room: []byte("ab")}
	for range 2 {
		if got := d.add([]byte("c")); !bytes.Equal(got[:], want) {
			t.Errorf("of a segment: %x", *got)
		}
	}
	stream := newStreamDigest(nil, "")
	if got := stream.input(SuiteShared); len(got) != len(label.StreamFinalKeyed)+sha256.Size {
		t.Errorf("a final proof is of %d bytes", len(got))
	}
}
