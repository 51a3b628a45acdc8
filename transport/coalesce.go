//go:build !js

package transport

import (
	"encoding/binary"
	"net"
	"sync"
)

// coalesceSize is how much of a large frame one write to the socket holds, in bytes.
const coalesceSize = 72 << 10

// A coalescer is the socket below a client's WebSocket. The library masks a frame in pieces of 4
// KiB and writes each of them, which would cost a system call and wake the peer each time. The
// coalescer collects pieces of a frame until they fill one write. It relies on the library to write
// one frame after the other, to begin each with a new Write, and to write all of it.
type coalescer struct {
	net.Conn
	left int64   // bytes of the frame that are still to come
	held *[]byte // pieces that are not written yet; nil between frames
}

var frameBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, coalesceSize)
	return &b
}}

// Write is described at [net.Conn]. An error may concern earlier bytes of the same frame, which it
// held back.
func (g *coalescer) Write(p []byte) (int, error) {
	if g.left <= 0 {
		g.left = frameSize(p)
	}
	g.left -= int64(len(p))
	if g.held == nil && g.left <= 0 {
		return g.Conn.Write(p)
	}
	if g.held == nil {
		g.held = frameBuffers.Get().(*[]byte)
	}
	*g.held = append(*g.held, p...)
	if g.left > 0 && len(*g.held)+len(p) <= coalesceSize {
		return len(p), nil
	}
	_, err := g.Conn.Write(*g.held)
	*g.held = (*g.held)[:0]
	if g.left <= 0 {
		frameBuffers.Put(g.held)
		g.held = nil
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// frameSize returns the size of the frame that begins with p, in bytes (RFC 6455, section 5.2), or
// 0 if p does not say.
func frameSize(p []byte) int64 {
	if len(p) < 2 {
		return 0
	}
	size, payload := int64(2), int64(p[1]&0x7f)
	switch {
	case payload == 126 && len(p) >= 4:
		size, payload = 4, int64(binary.BigEndian.Uint16(p[2:]))
	case payload == 127 && len(p) >= 10:
		size, payload = 10, int64(binary.BigEndian.Uint64(p[2:])&(1<<62-1))
	case payload > 125:
		return 0
	}
	if p[1]&0x80 != 0 {
		size += 4 // the mask
	}
	return size + payload
}
