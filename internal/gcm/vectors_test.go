//go:build !js

package gcm

import (
	"bytes"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/vectortest"
)

// A Random against Wycheproof: nonce in front, tag behind. Cases with other sizes are about what
// nobody here uses.
func TestWycheproofAESGCM(t *testing.T) {
	opened, refused := 0, 0
	for _, g := range vectortest.Groups(t, "aes_gcm_test.json", 316) {
		if g.KeySize != 256 || g.IVSize != 8*NonceSize || g.TagSize != 8*TagSize {
			continue
		}
		for _, c := range g.Tests {
			key := NewRandom(c.Key)
			got, err := key.Open([]byte("dst"), slices.Concat(c.IV, c.CT, c.Tag), c.AAD)
			if c.Valid() != (err == nil) || c.Valid() && !bytes.Equal(got, append([]byte("dst"), c.Msg...)) {
				t.Errorf("case %v (%v): %x, %v", c.TcID, c.Comment, got, err)
			}
			if same := bytes.Equal(New(c.Key).Seal(nil, c.IV, c.Msg, c.AAD), slices.Concat(c.CT, c.Tag)); same != c.Valid() {
				t.Errorf("case %v (%v): sealed to the same: %v", c.TcID, c.Comment, same)
			}
			if opened++; !c.Valid() {
				refused++
			}
		}
	}
	if opened < 66 || refused < 27 {
		t.Errorf("%d cases, of which %d were refused", opened, refused)
	}
}
