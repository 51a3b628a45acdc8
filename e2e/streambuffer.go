package e2e

import (
	"bytes"
	"slices"
)

const (
	// maxSpare is how many chunks' memory a session keeps.
	maxSpare = 4

	// minChunk and maxChunk bound the size of a chunk, in bytes.
	minChunk = 4 << 10
	maxChunk = 64 << 10
)

// A buffer holds what has come of a stream and is not read, in chunks of which all but the
// last are full: so the smallest pieces take no more memory than they have bytes.
type buffer struct {
	chunks [][]byte
	read   int // of the first one
}

func (b *buffer) empty() bool { return len(b.chunks) == 0 }

// put appends a copy of a piece.
func (b *buffer) put(t *streams, piece []byte) {
	if last := len(b.chunks) - 1; last >= 0 {
		chunk := b.chunks[last]
		n := min(len(piece), cap(chunk)-len(chunk))
		b.chunks[last], piece = append(chunk, piece[:n]...), piece[n:]
	}
	for len(piece) > 0 {
		n := min(len(piece), maxChunk)
		b.chunks = append(b.chunks, t.chunkOf(piece[:n]))
		piece = piece[n:]
	}
}

// take copies to p. It returns how many bytes there were, and how many are in chunks that
// are free now.
func (b *buffer) take(t *streams, p []byte) (n, free int) {
	for n < len(p) && len(b.chunks) > 0 {
		chunk := b.chunks[0]
		size := copy(p[n:], chunk[b.read:])
		n += size
		if b.read += size; b.read == len(chunk) {
			b.chunks[0] = nil
			b.chunks, b.read = b.chunks[1:], 0
			free += len(chunk)
			t.free(chunk)
		}
	}
	return n, free
}

// chunkOf returns a copy of what is the beginning of a chunk.
func (t *streams) chunkOf(piece []byte) []byte {
	size := max(len(piece), minChunk)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, spare := range t.spare {
		if cap(spare) >= size && cap(spare) <= 2*size {
			t.spare = slices.Delete(t.spare, i, i+1)
			return append(spare[:0], piece...)
		}
	}
	if len(piece) < minChunk {
		return append(make([]byte, 0, minChunk), piece...)
	}
	return bytes.Clone(piece) // which clears no memory that is about to be written
}

// free takes memory back.
func (t *streams) free(chunk []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spare) < maxSpare {
		t.spare = append(t.spare, chunk)
	}
}
