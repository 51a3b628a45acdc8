package e2e

import "slices"

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
	for len(piece) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last]) == cap(b.chunks[last]) {
			b.chunks = append(b.chunks, t.chunk(len(piece)))
			continue
		}
		chunk := b.chunks[last]
		n := min(len(piece), cap(chunk)-len(chunk))
		b.chunks[last], piece = append(chunk, piece[:n]...), piece[n:]
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

// chunk returns memory for so many bytes, or for some of them.
func (t *streams) chunk(size int) []byte {
	size = min((size+minChunk-1)/minChunk*minChunk, maxChunk)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, spare := range t.spare {
		if cap(spare) >= size && cap(spare) <= 2*size {
			t.spare = slices.Delete(t.spare, i, i+1)
			return spare[:0]
		}
	}
	return make([]byte, 0, size)
}

// free takes memory back.
func (t *streams) free(chunk []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spare) < maxSpare {
		t.spare = append(t.spare, chunk)
	}
}
