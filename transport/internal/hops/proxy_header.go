//go:build !js

package hops

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt (2020)
// defines it. The header comes before the connection's own bytes and says whose connection
// it is:
//
//	version 1   "PROXY TCP4 " source " " destination " " port " " port CRLF, or
//	            "PROXY TCP6 ..." or "PROXY UNKNOWN" anything CRLF, at most 107 bytes
//	version 2   12 signature
//	             1 version 2 and command: 0x20 the hop's own, 0x21 a client's
//	             1 family: 0x11 TCP over IPv4, 0x21 over IPv6, 0x00 unknown
//	             2 length of the rest
//	               source and destination address, 4 or 16 bytes each; their ports, 2 each
//	               values: 1 type, 2 length, the bytes
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyLine   = 107     // bytes, with CRLF
	maxProxyRest   = 8 << 10 // bytes; a value with a client's certificate takes some KiB
)

// The types of the values that this package reads (proxy-protocol.txt, section 2.2).
const (
	valueCRC32C = 0x03
	valueTLS    = 0x20
)

var errProxyHeader = errors.New("no valid PROXY header")

// A proxied is what a header says. Without addresses the connection is the hop's
// own, or that of a client whom the hop does not know.
type proxied struct {
	source, destination netip.AddrPort
	secure              bool // the client spoke TLS with the hop
}

// readProxyHeader reads a header and not one byte more.
func readProxyHeader(r io.Reader) (proxied, error) {
	head := make([]byte, len(proxySignature), maxProxyLine)
	if _, err := io.ReadFull(r, head); err != nil {
		return proxied{}, err
	}
	if string(head) == proxySignature {
		return readProxyV2(r, head)
	}
	if !bytes.HasPrefix(head, []byte("PROXY ")) {
		return proxied{}, errProxyHeader
	}
	for !bytes.HasSuffix(head, []byte("\r\n")) {
		if len(head) == maxProxyLine {
			return proxied{}, errProxyHeader
		}
		head = head[:len(head)+1]
		if _, err := io.ReadFull(r, head[len(head)-1:]); err != nil {
			return proxied{}, err
		}
	}
	return parseProxyV1(string(head[len("PROXY ") : len(head)-2]))
}

// parseProxyV1 parses the text between "PROXY " and the end of the line.
func parseProxyV1(line string) (p proxied, err error) {
	fields := strings.Split(line, " ")
	if fields[0] == "UNKNOWN" {
		return p, nil
	}
	if len(fields) != 5 || fields[0] != "TCP4" && fields[0] != "TCP6" {
		return p, errProxyHeader
	}
	from, ok1 := parseEnd(fields[0], fields[1], fields[3])
	to, ok2 := parseEnd(fields[0], fields[2], fields[4])
	if !ok1 || !ok2 {
		return p, errProxyHeader
	}
	return proxied{source: from, destination: to}, nil
}

func parseEnd(family, address, port string) (end netip.AddrPort, ok bool) {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() != (family == "TCP4") || addr.Zone() != "" {
		return end, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return end, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), true
}

// readProxyV2 reads the rest of a header after the signature.
func readProxyV2(r io.Reader, signature []byte) (p proxied, err error) {
	head := append(signature, 0, 0, 0, 0)
	fixed := head[len(signature):]
	if _, err := io.ReadFull(r, fixed); err != nil {
		return p, err
	}
	command, family, length := fixed[0], fixed[1], binary.BigEndian.Uint16(fixed[2:])
	if command != 0x20 && command != 0x21 || length > maxProxyRest {
		return p, errProxyHeader
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return p, err
	}
	if command == 0x20 {
		return p, nil
	}
	p, values, ok := parseEnds(family, rest)
	if !ok {
		return proxied{}, errProxyHeader
	}
	var sum []byte // the checksum, a part of rest
	seen := make(map[byte]bool, 2)
	for kind, value := range tlvs(values, &ok) {
		if seen[kind] && (kind == valueCRC32C || kind == valueTLS) {
			return proxied{}, errProxyHeader
		}
		seen[kind] = true
		switch kind {
		case valueCRC32C:
			if sum = value; len(sum) != 4 {
				return proxied{}, errProxyHeader
			}
		case valueTLS:
			if len(value) < 5 { // 1 byte: what the client used; 4: the result of verifying its certificate
				return proxied{}, errProxyHeader
			}
			p.secure = value[0]&1 != 0
			for range tlvs(value[5:], &ok) {
			}
		}
	}
	if !ok || sum != nil && !checksumFits(head, rest, sum) {
		return proxied{}, errProxyHeader
	}
	return p, nil
}

// parseEnds splits the two addresses and ports off b, and returns the values after them.
func parseEnds(family byte, b []byte) (p proxied, values []byte, ok bool) {
	size := map[byte]int{0x00: 0, 0x11: 4, 0x21: 16}
	n, known := size[family]
	if !known || len(b) < 2*n+4 && n > 0 {
		return p, nil, false
	}
	if n == 0 {
		return p, nil, true // a reader skips what follows an unknown family
	}
	from, _ := netip.AddrFromSlice(b[:n])
	to, _ := netip.AddrFromSlice(b[n : 2*n])
	ports := b[2*n : 2*n+4]
	p.source = netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(ports))
	p.destination = netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return p, b[2*n+4:], true
}

// tlvs yields the type and bytes of each value in b. It sets ok to false if the values do
// not fill b exactly.
func tlvs(b []byte, ok *bool) func(yield func(byte, []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		for len(b) > 0 {
			if len(b) < 3 || len(b) < 3+int(binary.BigEndian.Uint16(b[1:])) {
				*ok = false
				return
			}
			end := 3 + int(binary.BigEndian.Uint16(b[1:]))
			if !yield(b[0], b[3:end:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// checksumFits reports whether sum, a part of rest, is the checksum of the header. The
// checksum counts its own bytes as zeros, so checksumFits clears sum.
func checksumFits(head, rest, sum []byte) bool {
	want := binary.BigEndian.Uint32(sum)
	clear(sum)
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(head, table), table, rest) == want
}
