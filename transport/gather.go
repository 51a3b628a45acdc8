//go:build !js

package transport

import (
	"encoding/binary"
	"net"
	"sync"
)

// gatherSize is what is written to a socket at once of a large frame, in bytes.
const gatherSize = 72 << 10

// A gatherer is the socket below a client's WebSocket, which masks a frame in 4 KiB and
// would make a system call, and wake the peer, for each of them. It holds on to the
// parts of a frame until there is enough for one. The library writes one frame after
// the other, begins each with a Write of its own, and writes all of it.
type gatherer struct {
	net.Conn
	left int64   // bytes of the frame that are to come
	held *[]byte // those that came and are not written; nil between frames
}

var gathered = sync.Pool{New: func() any {
	b := make([]byte, 0, gatherSize)
	return &b
}}

// Write is described at [net.Conn]. It returns the error of bytes that it held when it
// writes them, within the same message.
func (g *gatherer) Write(p []byte) (int, error) {
	if g.left <= 0 {
		g.left = frameSize(p)
	}
	g.left -= int64(len(p))
	if g.held == nil && g.left <= 0 {
		return g.Conn.Write(p)
	}
	if g.held == nil {
		g.held = gathered.Get().(*[]byte)
	}
	*g.held = append(*g.held, p...)
	if g.left > 0 && len(*g.held)+len(p) <= gatherSize {
		return len(p), nil
	}
	_, err := g.Conn.Write(*g.held)
	*g.held = (*g.held)[:0]
	if g.left <= 0 {
		gathered.Put(g.held)
		g.held = nil
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// frameSize returns the size of the frame that begins with p, in bytes (RFC 6455,
// section 5.2), or 0 if p does not say.
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
