package main

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/hopseal/hopseal/envelope"
)

// streamRows hold streams, from memory and to nowhere, against AES-256-GCM and
// SHA-256 of their segments; and long ones against short ones.
func streamRows(e effort) ([]row, error) {
	s, o, err := sharedPair()
	if err != nil {
		return nil, err
	}
	ours := sealedStream(s, o)
	bare, err := bareSegments()
	if err != nil {
		return nil, err
	}
	rate := goal{"rate >= 0.85", func(r row) bool { return r.Ratio <= 1/0.85 }}
	var rows []row
	for _, size := range []int{1 << 20, 16 << 20} {
		content := message(size)
		a, err := ours.codec(content)
		if err != nil {
			return nil, err
		}
		b, err := bare.codec(content)
		if err != nil {
			return nil, err
		}
		more, err := both(e, content, a, b, rate)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	flat, err := flatRow(e, s, o)
	return append(rows, flat), err
}

// A streamer is one way to write and to read what need not fit into memory.
type streamer struct {
	name  string
	write func(dst io.Writer, content []byte) error
	read  func(dst io.Writer, sealed []byte) error
}

// codec returns the streamer as one that writes to nowhere, and reads what it
// wrote of that content to nowhere.
func (s streamer) codec(content []byte) (codec, error) {
	var sealed, read bytes.Buffer
	err := s.write(&sealed, content)
	if err == nil {
		err = s.read(&read, sealed.Bytes())
	}
	if err == nil && !bytes.Equal(read.Bytes(), content) {
		err = errors.New("read something else")
	}
	if err != nil {
		return codec{}, fmt.Errorf("%s: %w", s.name, err)
	}
	return codec{s.name,
		func(content []byte) error { return s.write(io.Discard, content) },
		func() ([]byte, error) { return nil, s.read(io.Discard, sealed.Bytes()) }}, nil
}

func sealedStream(s *envelope.Sealer, o *envelope.Opener) streamer {
	return streamer{"stream",
		func(dst io.Writer, content []byte) error {
			w, err := s.NewWriter(dst)
			if err != nil {
				return err
			}
			if _, err := w.Write(content); err != nil {
				return err
			}
			return w.Finish()
		},
		func(dst io.Writer, sealed []byte) error {
			r, err := o.NewReader(bytes.NewReader(sealed))
			if err == nil {
				_, err = r.WriteTo(dst)
			}
			return err
		}}
}

// segments is what a stream cannot do without: AES-256-GCM of each 64 KiB, and the
// digest of all that.
type segments struct {
	aead  cipher.AEAD
	nonce [12]byte
	count uint64
	hash  hash.Hash
	buf   []byte
}

const segmentSize = 64 << 10

func (s *segments) next() []byte {
	s.count++
	binary.BigEndian.PutUint64(s.nonce[4:], s.count)
	return s.nonce[:]
}

func bareSegments() (streamer, error) {
	var g gcm
	if err := g.init(); err != nil {
		return streamer{}, err
	}
	s := segments{aead: g.aead, hash: sha256.New(), buf: make([]byte, 0, segmentSize+16)}
	return streamer{"64 KiB segments of AES-256-GCM + SHA-256", s.write, s.read}, nil
}

func (s *segments) write(dst io.Writer, content []byte) error {
	s.count = 0
	s.hash.Reset()
	for len(content) > 0 {
		n := min(segmentSize, len(content))
		sealed := s.aead.Seal(s.buf[:0], s.next(), content[:n], nil)
		s.hash.Write(sealed)
		if _, err := dst.Write(sealed); err != nil {
			return err
		}
		content = content[n:]
	}
	s.hash.Sum(s.buf[:0])
	return nil
}

func (s *segments) read(dst io.Writer, sealed []byte) error {
	s.count = 0
	s.hash.Reset()
	for len(sealed) > 0 {
		n := min(segmentSize+16, len(sealed))
		s.hash.Write(sealed[:n])
		content, err := s.aead.Open(s.buf[:0], s.next(), sealed[:n], nil)
		if err != nil {
			return err
		}
		if _, err := dst.Write(content); err != nil {
			return err
		}
		sealed = sealed[n:]
	}
	s.hash.Sum(s.buf[:0])
	return nil
}

// flatRow writes and reads a long stream through a pipe, against a short one. All
// that is ever allocated counts, garbage or not.
func flatRow(e effort, s *envelope.Sealer, o *envelope.Opener) (row, error) {
	const short = 1 << 20
	part := message(short)
	var f failed
	through := func(size int64) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(writeParts(s, w, part, size/short)) }()
		n, err := readAll(o, r)
		r.CloseWithError(err)
		f.check(err)
		if n != size {
			f.check(fmt.Errorf("of %d bytes, %d arrived", size, n))
		}
	}
	through(short) // warm
	r := comparison{rounds: 1, calls: 1,
		a: func(int) { through(e.stream) },
		b: func(int) { through(short) },
	}.run().against(goal{"bytes allocated <= 1.1 x", func(r row) bool { return r.Bytes <= 1.1*r.AgainstBytes }})
	r.What, r.Against = "stream, write and read "+bytesText(e.stream), "the same with "+bytesText(short)
	return r, f.err
}

func writeParts(s *envelope.Sealer, dst io.Writer, part []byte, n int64) error {
	w, err := s.NewWriter(dst)
	if err != nil {
		return err
	}
	for range n {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Finish()
}

func readAll(o *envelope.Opener, src io.Reader) (int64, error) {
	r, err := o.NewReader(src)
	if err != nil {
		return 0, err
	}
	return r.WriteTo(io.Discard)
}
