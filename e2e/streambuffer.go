package e2e

import (
	"bytes"
	"slices"
)

// maxSpare is how many pieces' memory is kept.
const maxSpare = 4

// copyOf returns a copy of a piece.
func (t *streams) copyOf(b []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, spare := range t.spare {
		if cap(spare) >= len(b) && cap(spare) <= 2*len(b) {
			t.spare = slices.Delete(t.spare, i, i+1)
			return append(spare[:0], b...)
		}
	}
	return bytes.Clone(b)
}

// free takes memory back.
func (t *streams) free(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spare) < maxSpare {
		t.spare = append(t.spare, b)
	}
}
