package keyfile

import (
	"bytes"
	"testing"

	"github.com/hopseal/hopseal/internal/strict"
)

// A file that asks for more memory than the limit is refused before any is taken.
func TestArgonCostsAreBounded(t *testing.T) {
	for _, p := range []Argon{
		{0, 64, 1}, {17, 64, 1}, {1, 7, 1}, {1, 256<<10 + 1, 1}, {1, 64, 0}, {1, 64, 9}, {1, 1 << 40, 1}, {1, 256, 17},
	} {
		if r := strict.NewReader(p.Append(nil, make([]byte, ArgonSaltSize))); protectorOK(&r) {
			t.Errorf("%+v is accepted", p)
		}
	}
	if r := strict.NewReader(ArgonLimits.Append(nil, make([]byte, ArgonSaltSize))); !protectorOK(&r) {
		t.Error("the limit itself is refused")
	}
}

func protectorOK(r *strict.Reader) bool {
	SkipProtector(r)
	return r.Done() == nil
}

func FuzzFileHead(f *testing.F) {
	f.Add(Seal(nil, make([]byte, MasterSize), ArgonCost.Append(nil, make([]byte, ArgonSaltSize))))
	f.Fuzz(func(t *testing.T, b []byte) {
		protector, size, ok := Head(b)
		if ok && (size > len(b) || !bytes.Contains(b[:size], protector)) {
			t.Fatal("a head that is not in its file")
		}
	})
}
