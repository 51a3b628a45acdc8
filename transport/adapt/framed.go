package adapt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/hopseal/hopseal/transport"
)

const (
	prefixSize = 4       // bytes of length before each message
	closeBit   = 1 << 31 // in a length that announces a close message
	maxBody    = 125     // bytes in a close message

	// maxStep bounds how many bytes a buffer first grows by before they have come.
	maxStep = 32 << 10

	// maxJoined is the largest message, in bytes, that send copies behind its length, to
	// send both in one Write.
	maxJoined = 16 << 10
)

// FromNetConn returns a Conn that sends length-prefixed messages over c, as the package's
// documentation describes. It takes c over.
func FromNetConn(c net.Conn, opts *Options) transport.Conn {
	local := c.LocalAddr()
	kind := "stream"
	if local != nil {
		kind = local.Network()
	}
	o := opts.withDefaults(kind, local, c.RemoteAddr())
	return newConn(&framedLink{c: c, in: bufio.NewReader(c), plain: o.Plain}, o)
}

type framedLink struct {
	c     net.Conn
	plain bool

	in   *bufio.Reader
	skip int64 // bytes of a refused message that have not been read yet

	out []byte // buffer of write and sayClose
}

func (l *framedLink) read(dst []byte, limit int) ([]byte, error) {
	if _, err := io.CopyN(io.Discard, l.in, l.skip); err != nil {
		return nil, whole(err)
	}
	l.skip = 0
	prefix, err := l.in.Peek(prefixSize)
	if err != nil {
		if err == io.EOF && len(prefix) == 0 && l.plain {
			return nil, &transport.CloseError{Code: transport.CodeNoStatus, Remote: true}
		}
		return nil, whole(err)
	}
	size := binary.BigEndian.Uint32(prefix)
	l.in.Discard(prefixSize)
	switch {
	case size&closeBit != 0 && !l.plain:
		return nil, l.readClose(size &^ closeBit)
	case int64(size) > int64(limit):
		l.skip = int64(size)
		return nil, tooLarge()
	}
	return l.append(dst, int(size))
}

// append appends a message of size bytes. It grows dst as the bytes come: a length alone
// never makes it allocate more than maxStep.
func (l *framedLink) append(dst []byte, size int) ([]byte, error) {
	for size > 0 {
		room := cap(dst) - len(dst)
		if room == 0 {
			dst = slices.Grow(dst, min(size, max(maxStep, len(dst))))
			room = cap(dst) - len(dst)
		}
		n := min(size, room)
		if _, err := io.ReadFull(l.in, dst[len(dst):len(dst)+n]); err != nil {
			return nil, whole(err)
		}
		dst, size = dst[:len(dst)+n], size-n
	}
	return dst, nil
}

func (l *framedLink) readClose(size uint32) error {
	if size > maxBody {
		return errBadClose
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(l.in, body); err != nil {
		return whole(err)
	}
	closed, ok := transport.ParseClose(body)
	if !ok {
		return errBadClose
	}
	return closed
}

var errBadClose = &transport.CloseError{Code: transport.CodeProtocol, Err: errors.New("the peer's close message makes no sense")}

// whole turns io.EOF into io.ErrUnexpectedEOF, for places where the stream must not end.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (l *framedLink) write(msg []byte) error {
	if int64(len(msg)) >= closeBit {
		return tooLarge()
	}
	return l.send(uint32(len(msg)), msg)
}

func (l *framedLink) send(prefix uint32, b []byte) error {
	l.out = binary.BigEndian.AppendUint32(l.out[:0], prefix)
	if len(b) <= maxJoined {
		l.out = append(l.out, b...)
		_, err := l.c.Write(l.out)
		return err
	}
	_, err := (&net.Buffers{l.out, b}).WriteTo(l.c)
	return err
}

func (l *framedLink) sayClose(body []byte) error {
	if !l.plain {
		return l.send(closeBit|uint32(len(body)), body)
	}
	if half, ok := l.c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return l.c.Close()
}

func (l *framedLink) cut() { l.c.Close() }
