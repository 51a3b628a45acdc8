//go:build !js

package transport

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"testing"

	"encoding/binary"
)

// A writeLog is a socket that remembers what was written to it.
type writeLog struct {
	net.Conn
	writes [][]byte
	err    error
}

func (w *writeLog) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.writes = append(w.writes, bytes.Clone(p))
	return len(p), nil
}

// frameOf returns a masked frame with n bytes of payload.
func frameOf(n int) []byte {
	frame := []byte{0x82, 0x80}
	switch {
	case n > 65535:
		frame[1] |= 127
		frame = binary.BigEndian.AppendUint64(frame, uint64(n))
	case n > 125:
		frame[1] |= 126
		frame = binary.BigEndian.AppendUint16(frame, uint16(n))
	default:
		frame[1] |= byte(n)
	}
	payload := make([]byte, 4+n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(payload)
	return append(frame, payload...)
}

// Whatever the sizes, the same bytes are written, none is left behind at the end of a
// frame, and a frame of a session takes one Write.
func TestGatherer(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 4090, 4096 - 8, 4096, 5000, 65535, 65536, 65553, coalesceSize, 1 << 20}
	for range 50 {
		sizes = append(sizes, rand.IntN(200_000))
	}
	log := new(writeLog)
	g := &coalescer{Conn: log}
	for _, n := range sizes {
		frame := frameOf(n)
		log.writes = nil
		for rest := frame; len(rest) > 0; { // as a bufio.Writer of 4 KiB does
			part := rest[:min(4096, len(rest))]
			if m, err := g.Write(part); m != len(part) || err != nil {
				t.Fatalf("%d bytes: wrote %d of %d, %v", n, m, len(part), err)
			}
			rest = rest[len(part):]
		}
		if got := bytes.Join(log.writes, nil); !bytes.Equal(got, frame) || g.held != nil {
			t.Fatalf("%d bytes: %d of %d were written", n, len(got), len(frame))
		}
		if most := 1 + len(frame)/(coalesceSize-8192); len(log.writes) > most || n <= 65553 && len(log.writes) != 1 {
			t.Errorf("%d bytes took %d writes", n, len(log.writes))
		}
		for _, w := range log.writes {
			if len(w) > coalesceSize {
				t.Errorf("%d bytes are written at once", len(w))
			}
		}
	}
}

// The error of what was held comes back with the last part, and nothing is held then.
func TestGathererFails(t *testing.T) {
	broken := errors.New("broken")
	g := &coalescer{Conn: &writeLog{err: broken}}
	frame := frameOf(10_000)
	if _, err := g.Write(frame[:4096]); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write(frame[4096:8192]); err != nil {
		t.Fatal(err)
	}
	if n, err := g.Write(frame[8192:]); !errors.Is(err, broken) || n != 0 || g.held != nil {
		t.Errorf("%d, %v", n, err)
	}
}
