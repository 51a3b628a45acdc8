package envelope

import (
	"crypto/sha256"
	"errors"
	"io"
	"sync"
)

// A ReaderAt reads the content of a verified stream from any offset. It holds the digest of
// every segment, 32 bytes for each 64 KiB of the stream: so it reads later what it
// verified, even if the stream changes in between. A ReaderAt is safe for concurrent use.
type ReaderAt struct {
	src     io.ReaderAt
	header  Header
	start   int64 // of the first segment
	end     int64 // of the last one
	size    int64 // of the content
	cipher  *segmentCipher
	digests [][sha256.Size]byte

	mu     sync.Mutex
	number int64              // of the segment that is open, -1 for none
	buf    *[segmentSize]byte // its plaintext: behind a pointer, which fmt does not follow
	hash   *streamDigest
}

// NewReaderAt reads a stream of size bytes once from start to end, verifies all of
// it, and returns a reader for any part of its content. Its errors are those of
// [Opener.NewReader] and of [UnverifiedReader.Read]. It passes the message id to Replay after
// all has verified: if a copy was cut short or changed on the way, or the source fails, the
// whole stream can still be opened later.
func (o *Opener) NewReaderAt(src io.ReaderAt, size int64) (*ReaderAt, error) {
	if src == nil {
		return nil, errNil("io.ReaderAt")
	}
	pass, err := o.newReader(io.NewSectionReader(src, 0, size))
	if err != nil {
		return nil, err
	}
	if !o.inTime(&pass.stream.Header) { // before reading the whole stream
		return nil, fail(ReasonTime)
	}
	r := &ReaderAt{
		src: src, header: pass.Header(), start: pass.stream.headSize,
		end:    size - int64(pass.stream.Suite.proofSize()),
		cipher: pass.cipher, hash: newStreamDigest(nil, ""), number: -1,
	}
	pass.keep = func(digest *[sha256.Size]byte) { r.digests = append(r.digests, *digest) }
	if r.size, err = pass.WriteTo(io.Discard); err != nil {
		return nil, err
	}
	if err := o.once(&r.header); err != nil {
		return nil, err
	}
	return r, nil
}

// Header returns the stream's header, authenticated.
func (r *ReaderAt) Header() Header { return r.header }

// Size returns the size of the content in bytes.
func (r *ReaderAt) Size() int64 { return r.size }

// ReadAt reads len(p) bytes of content from an offset. At the end of the content it reads
// fewer and returns [io.EOF]. If a segment is not the one that was verified, the error
// matches [ErrOpen]; other errors are the source's.
func (r *ReaderAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("envelope: ReadAt with a negative offset")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) && off < r.size {
		data, err := r.open(off / segmentData)
		if err != nil {
			return n, err
		}
		copied := copy(p[n:], data[off%segmentData:])
		n, off = n+copied, off+int64(copied)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// open returns the content of a segment. It opens it unless it is open already. The caller
// holds r.mu.
func (r *ReaderAt) open(number int64) ([]byte, error) {
	if r.buf == nil {
		r.buf = new([segmentSize]byte)
	}
	data := r.buf[lengthSize:][:min(segmentData, r.size-number*segmentData)]
	if number == r.number {
		return data, nil
	}
	r.number = -1
	start := r.start + number*segmentSize
	segment := r.buf[:min(segmentSize, r.end-start)]
	if n, err := r.src.ReadAt(segment, start); n < len(segment) {
		return nil, cutShort(err)
	}
	if *r.hash.add(segment) != r.digests[number] {
		return nil, fail(ReasonBody)
	}
	nonce := r.cipher.nonceOf(number, number == int64(len(r.digests)-1))
	if _, err := r.cipher.Open(segment[:0], nonce, segment, nil); err != nil {
		return nil, fail(ReasonBody)
	}
	r.number = number
	return data, nil
}
