//go:build !js

package hostile

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// maxFrame is the largest frame that a hop puts together, in bytes.
const maxFrame = 64 << 20

// opcodes of RFC 6455, section 5.2
const (
	opContinuation = 0x0
	opClose        = 0x8 // and all above: control frames
)

// onMessages turns a Fault on messages into one on the bytes of a WebSocket. The HTTP
// handshake and control frames pass unchanged. The hop puts the frames of a message
// together, and sends what the Fault sends in frames of its own. It masks them again if
// they come from a client.
func onMessages(f Fault, fromClient bool) Fault {
	if f == nil {
		f = Pass
	}
	s := &socketParser{fault: f, masked: fromClient}
	return s.take
}

// A socketParser parses one direction of a WebSocket.
type socketParser struct {
	fault  Fault
	masked bool // the receiver expects masks, since the sender is a client

	upgraded bool // the HTTP head has passed
	plain    bool // this is not a WebSocket: everything passes
	in       []byte

	first   byte // of the first frame of the message under way
	message []byte
}

func (s *socketParser) take(p Path, piece []byte) {
	s.in = append(s.in, piece...)
	if !s.upgraded && !s.head(p) {
		return
	}
	if s.plain {
		p.Send(s.in)
		s.in = nil
		return
	}
	for {
		frame, payload := nextFrame(s.in)
		if frame == nil {
			break
		}
		s.in = s.in[len(frame):]
		s.frame(p, frame, payload)
	}
	if len(s.in) > maxFrame {
		p.Cut()
	}
}

// head lets the HTTP head pass, and reports whether all of it has passed.
func (s *socketParser) head(p Path) bool {
	end := bytes.Index(s.in, []byte("\r\n\r\n"))
	if end < 0 {
		return false
	}
	end += len("\r\n\r\n")
	line, _, _ := strings.Cut(string(s.in[:end]), "\r\n")
	s.plain = !s.masked && !strings.Contains(line, " 101 ")
	s.upgraded = true
	p.Send(slices.Clone(s.in[:end]))
	s.in = s.in[end:]
	return true
}

func (s *socketParser) frame(p Path, frame, payload []byte) {
	op := frame[0] & 0x0f
	if op >= opClose {
		p.Send(bytes.Clone(frame))
		return
	}
	if op != opContinuation {
		s.first, s.message = frame[0], nil
	}
	s.message = append(s.message, payload...)
	if frame[0]&0x80 != 0 {
		s.fault(messagePath{p, s}, s.message)
		s.message = nil
	}
}

// nextFrame returns the frame at the start of b, and its payload without the mask. It
// returns nil if b does not contain the whole frame.
func nextFrame(b []byte) (frame, payload []byte) {
	if len(b) < 2 {
		return nil, nil
	}
	size, at := uint64(b[1]&0x7f), 2
	switch size {
	case 126:
		at += 2
	case 127:
		at += 8
	}
	masked := b[1]&0x80 != 0
	if masked {
		at += 4
	}
	if len(b) < at {
		return nil, nil
	}
	switch size {
	case 126:
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		size = binary.BigEndian.Uint64(b[2:])
	}
	if uint64(len(b)-at) < size {
		return nil, nil
	}
	end := at + int(size)
	payload = bytes.Clone(b[at:end])
	if masked {
		for i := range payload {
			payload[i] ^= b[at-4+i%4]
		}
	}
	return b[:end], payload
}

// CloseFrame returns the frame with which a server closes a WebSocket with a code.
func CloseFrame(code uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{0x80 | opClose, 2}, code)
}

// Close closes the WebSocket towards the client with a code of the hop's own, and takes
// nothing more. It works on a server's messages. Other links it cuts.
func Close(code uint16) Fault {
	return func(p Path, _ []byte) {
		if m, ok := p.(messagePath); ok && !m.s.masked {
			m.Path.Send(CloseFrame(code))
			p.Stall()
		}
		p.Cut()
	}
}

// A messagePath puts what goes through it into frames.
type messagePath struct {
	Path // of the bytes
	s    *socketParser
}

func (m messagePath) Send(message []byte) { m.Path.Send(m.encode(message, m.s.masked)) }
func (m messagePath) Back(message []byte) { m.Path.Back(m.encode(message, !m.s.masked)) }

func (m messagePath) Part(message []byte, n int) {
	whole := m.encode(message, m.s.masked)
	m.Path.Part(whole, len(whole)-len(message)+n)
}

// encode returns a message in a single frame. The mask is constant, since it only has to
// satisfy the receiver.
func (m messagePath) encode(message []byte, masked bool) []byte {
	b, n := []byte{m.s.first | 0x80}, len(message)
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	switch {
	case n < 126:
		b = append(b, bit|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
	if !masked {
		return append(b, message...)
	}
	mask := []byte{0x5a, 0x17, 0xc3, 0x88}
	b = append(b, mask...)
	for i, c := range message {
		b = append(b, c^mask[i%4])
	}
	return b
}
