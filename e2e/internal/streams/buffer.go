package streams

import (
	"bytes"
	"slices"
)

const (
	// maxSpare is how many empty chunks a session keeps.
	maxSpare = 4

	// minChunk and maxChunk bound the size of a chunk, in bytes.
	minChunk = 4 << 10
	maxChunk = 64 << 10
)

// A buffer holds what has come of a stream and is not read. All chunks but the last are full, so
// even the smallest pieces take no more memory than they have bytes.
type buffer struct {
	chunks [][]byte
	read   int // of the first chunk
}

func (b *buffer) empty() bool { return len(b.chunks) == 0 }

// put appends a copy of a piece.
func (b *buffer) put(s *Streams, piece []byte) {
	if last := len(b.chunks) - 1; last >= 0 {
		chunk := b.chunks[last]
		n := min(len(piece), cap(chunk)-len(chunk))
		b.chunks[last], piece = append(chunk, piece[:n]...), piece[n:]
	}
	for len(piece) > 0 {
		n := min(len(piece), maxChunk)
		b.chunks = append(b.chunks, s.newChunk(piece[:n]))
		piece = piece[n:]
	}
}

// take copies to p. It returns how many bytes it has copied, and how many the chunks had that are
// free now.
func (b *buffer) take(s *Streams, p []byte) (n, free int) {
	for n < len(p) && len(b.chunks) > 0 {
		chunk := b.chunks[0]
		size := copy(p[n:], chunk[b.read:])
		n += size
		if b.read += size; b.read == len(chunk) {
			b.chunks[0] = nil
			b.chunks, b.read = b.chunks[1:], 0
			free += len(chunk)
			s.keepChunk(chunk)
		}
	}
	return n, free
}

// newChunk returns a chunk that begins with a copy of piece.
func (s *Streams) newChunk(piece []byte) []byte {
	size := max(len(piece), minChunk)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, spare := range s.spare {
		if cap(spare) >= size && cap(spare) <= 2*size {
			s.spare = slices.Delete(s.spare, i, i+1)
			return append(spare[:0], piece...)
		}
	}
	if len(piece) < minChunk {
		return append(make([]byte, 0, minChunk), piece...)
	}
	return bytes.Clone(piece) // unlike make, it clears no memory that is about to be written
}

// keepChunk keeps an empty chunk for what comes next, if there are not enough.
func (s *Streams) keepChunk(chunk []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) < maxSpare {
		s.spare = append(s.spare, chunk)
	}
}
