//go:build !js

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A link is one connection, as the hop sees it.
type link struct {
	*proxy
	number int
	began  time.Time
	first  [2]int // how many messages of the handshake have passed in each direction
	what   string // "handshake" or "resume"; "" before the first of them
	seen   sight
	cutNow bool // this hop has cut it
}

// A sight counts what the hop has seen.
type sight struct{ messages, bytes int }

func (p *proxy) newLink() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links++
	fmt.Fprintf(p.out, "\nhop: connection %d\n", p.links)
	return &link{proxy: p, number: p.links, began: time.Now()}
}

// pass passes on the head of an upgrade and then frame after frame, and looks at each.
func (l *link) pass(from *bufio.Reader, to io.Writer, toService bool) {
	head, err := readHead(from)
	if err == nil {
		_, err = to.Write(head)
	}
	for err == nil {
		var frame, message []byte
		if frame, message, err = readFrame(from); err != nil {
			return
		}
		if message != nil {
			l.see(message, toService)
		}
		_, err = to.Write(frame)
	}
}

// see counts a message, and prints the first ones.
func (l *link) see(message []byte, toService bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := l.kind(message, toService)
	l.seen.messages++
	l.seen.bytes += len(message)
	if bytes.Contains(message, []byte(l.look)) {
		l.found++
	}
	if l.seen.messages > l.show {
		return
	}
	from, to := "client", "service"
	if !toService {
		from, to = "service", "client"
	}
	fmt.Fprintf(l.out, "  %6.3f s  %-7s -> %-7s  %5d bytes  %-10s  % x …\n",
		time.Since(l.began).Seconds(), from, to, len(message), kind, message[:min(len(message), 12)])
}

// kinds are the types of records. Beside sizes and times, a hop can read nothing else. See
// docs/protocol-session.md.
var kinds = map[byte]string{
	1: "data", 2: "close", 3: "ack", 4: "ask", 5: "part",
	6: "rekey", 7: "rekey", 8: "rekey", 9: "rekey", 10: "update", 11: "update",
}

// kind returns the type of a message. The first two messages of each end are the handshake or the resume.
func (l *link) kind(message []byte, toService bool) string {
	if l.what == "" {
		l.what = "handshake"
		if len(message) < 1000 { // the first message of a handshake has a large key in it
			l.what = "resume"
		}
	}
	i := 0
	if toService {
		i = 1
	}
	if l.first[i]++; l.first[i] <= 2 {
		return l.what
	}
	if len(message) == 0 || kinds[message[0]&0x1f] == "" {
		return "unknown"
	}
	return kinds[message[0]&0x1f]
}

// cutOff ends the connection without notice.
func (l *link) cutOff(conns ...net.Conn) {
	l.mu.Lock()
	l.cutNow = true
	l.mu.Unlock()
	end(conns...)
}

// over prints how the connection ended.
func (l *link) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := l.seen.messages - l.show; more > 0 {
		fmt.Fprintf(l.out, "            … and %d more\n", more)
	}
	how := "over"
	if l.cutNow {
		how = "cut"
	}
	fmt.Fprintf(l.out, "  %6.3f s  connection %d is %s: %d messages, %d bytes seen\n",
		time.Since(l.began).Seconds(), l.number, how, l.seen.messages, l.seen.bytes)
	l.total.messages += l.seen.messages
	l.total.bytes += l.seen.bytes
}

// summary prints what the hop has seen in all.
func (p *proxy) summary() {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "the hop saw %d messages, %d bytes, on %d connections, and %q in %d of them\n",
		p.total.messages, p.total.bytes, p.links, p.look, p.found)
}

// maxFrame is the largest frame that the hop reads, in bytes.
const maxFrame = 4 << 20

var errFrame = errors.New("not a WebSocket frame that this hop understands")

// readHead reads an HTTP request or response without a body.
func readHead(r *bufio.Reader) (head []byte, err error) {
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if head = append(head, line...); len(head) > maxFrame {
			return nil, errFrame
		}
	}
	return head, nil
}

// readFrame reads a WebSocket frame (RFC 6455, section 5.2). It returns the frame, and the unmasked
// message in it, or a nil message for a control frame.
func readFrame(r *bufio.Reader) (frame, message []byte, err error) {
	frame = make([]byte, 2, 14)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, nil, err
	}
	size := uint64(frame[1] & 0x7f)
	more := map[uint64]int{126: 2, 127: 8}[size] // how many bytes hold a longer size
	masked := frame[1]&0x80 != 0
	rest := more
	if masked {
		rest += 4
	}
	frame = frame[:2+rest]
	if _, err := io.ReadFull(r, frame[2:]); err != nil {
		return nil, nil, err
	}
	switch more {
	case 2:
		size = uint64(binary.BigEndian.Uint16(frame[2:]))
	case 8:
		size = binary.BigEndian.Uint64(frame[2:])
	}
	if size > maxFrame {
		return nil, nil, errFrame
	}
	head := len(frame)
	frame = append(frame, make([]byte, size)...)
	if _, err := io.ReadFull(r, frame[head:]); err != nil {
		return nil, nil, err
	}
	if control := frame[0]&0x08 != 0; control {
		return frame, nil, nil
	}
	message = bytes.Clone(frame[head:])
	if masked {
		for i := range message {
			message[i] ^= frame[head-4+i%4]
		}
	}
	return frame, message, nil
}
