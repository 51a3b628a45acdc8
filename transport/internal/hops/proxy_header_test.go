//go:build !js

package hops

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
)

// v2 makes a header of version 2.
func v2(command, family byte, rest string) string {
	return proxySignature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

const (
	ends4 = "\xc0\x00\x02\x07\x0a\x00\x00\x09\x10\xe1\x01\xbb" // 192.0.2.7:4321 to 10.0.0.9:443
	ends6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09" + "\x10\xe1\x01\xbb"
)

// summed makes a header of version 2 with a checksum. The checksum's bits in flip are wrong.
func summed(ends string, flip uint32) string {
	h := []byte(v2(0x21, 0x11, ends+tlv(valueCRC32C, "\x00\x00\x00\x00")+tlv(0x04, "pad")))
	at := len(h) - len(tlv(0x04, "pad")) - 4
	binary.BigEndian.PutUint32(h[at:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))^flip)
	return string(h)
}

var goodHeaders = map[string]struct {
	header, source, destination string
	secure                      bool
}{
	"v1, IPv4":              {"PROXY TCP4 192.0.2.7 10.0.0.9 4321 443\r\n", "192.0.2.7:4321", "10.0.0.9:443", false},
	"v1, IPv6":              {"PROXY TCP6 2001:db8::7 fd00::9 4321 0\r\n", "[2001:db8::7]:4321", "[fd00::9]:0", false},
	"v1, longest":           {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false},
	"v1, mapped":            {"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.9 1 2\r\n", "192.0.2.7:1", "10.0.0.9:2", false},
	"v1, unknown":           {"PROXY UNKNOWN\r\n", "", "", false},
	"v1, unknown with more": {"PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "", "", false},
	"v2, IPv4":              {v2(0x21, 0x11, ends4), "192.0.2.7:4321", "10.0.0.9:443", false},
	"v2, IPv6":              {v2(0x21, 0x21, ends6), "[2001:db8::7]:4321", "[fd00::9]:443", false},
	"v2, local":             {v2(0x20, 0x00, ""), "", "", false},
	"v2, local with more":   {v2(0x20, 0x11, ends4+"xxx"), "", "", false},
	"v2, unspecified":       {v2(0x21, 0x00, "anything"), "", "", false},
	"v2, values":            {v2(0x21, 0x11, ends4+tlv(0xea, "vpce")+tlv(0x04, "")), "192.0.2.7:4321", "10.0.0.9:443", false},
	"v2, TLS":               {v2(0x21, 0x11, ends4+tlv(valueTLS, "\x01\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3"))), "192.0.2.7:4321", "10.0.0.9:443", true},
	"v2, no TLS":            {v2(0x21, 0x11, ends4+tlv(valueTLS, "\x00\x00\x00\x00\x00")), "192.0.2.7:4321", "10.0.0.9:443", false},
	"v2, checksum":          {summed(ends4, 0), "192.0.2.7:4321", "10.0.0.9:443", false},
	"v2, largest":           {v2(0x21, 0x11, ends4+tlv(0xea, strings.Repeat("x", maxProxyRest-12-3))), "192.0.2.7:4321", "10.0.0.9:443", false},
}

var badHeaders = map[string]string{
	"a request":              "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"another case":           "proxy TCP4 192.0.2.7 10.0.0.9 4321 443\r\n",
	"two blanks":             "PROXY TCP4  192.0.2.7 10.0.0.9 4321 443\r\n",
	"a blank at the end":     "PROXY TCP4 192.0.2.7 10.0.0.9 4321 443 \r\n",
	"no CR":                  "PROXY TCP4 192.0.2.7 10.0.0.9 4321 443\n" + strings.Repeat("x", 107),
	"another family":         "PROXY TCP6 192.0.2.7 10.0.0.9 4321 443\r\n",
	"mapped as IPv4":         "PROXY TCP4 ::ffff:192.0.2.7 10.0.0.9 4321 443\r\n",
	"UDP":                    "PROXY UDP4 192.0.2.7 10.0.0.9 4321 443\r\n",
	"a zone":                 "PROXY TCP6 fe80::1%eth0 fd00::9 4321 443\r\n",
	"zeros before":           "PROXY TCP4 192.0.2.007 10.0.0.9 4321 443\r\n",
	"zeros before a port":    "PROXY TCP4 192.0.2.7 10.0.0.9 04321 443\r\n",
	"a port too large":       "PROXY TCP4 192.0.2.7 10.0.0.9 65536 443\r\n",
	"a negative port":        "PROXY TCP4 192.0.2.7 10.0.0.9 -1 443\r\n",
	"a signed port":          "PROXY TCP4 192.0.2.7 10.0.0.9 +1 443\r\n",
	"a line too long":        "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n",
	"a name":                 "PROXY TCP4 localhost 10.0.0.9 4321 443\r\n",
	"v2, another version":    v2(0x11, 0x11, ends4),
	"v2, another command":    v2(0x22, 0x11, ends4),
	"v2, UDP":                v2(0x21, 0x12, ends4),
	"v2, Unix":               v2(0x21, 0x31, strings.Repeat("\x00", 216)),
	"v2, short":              v2(0x21, 0x11, ends4[:11]),
	"v2, short IPv6":         v2(0x21, 0x21, ends6[:35]),
	"v2, rest of a value":    v2(0x21, 0x11, ends4+"\x04\x00"),
	"v2, a value too short":  v2(0x21, 0x11, ends4+"\x04\x00\x05abcd"),
	"v2, TLS too short":      v2(0x21, 0x11, ends4+tlv(valueTLS, "\x01\x00\x00\x00")),
	"v2, TLS twice":          v2(0x21, 0x11, ends4+tlv(valueTLS, "\x00\x00\x00\x00\x00")+tlv(valueTLS, "\x01\x00\x00\x00\x00")),
	"v2, TLS malformed":      v2(0x21, 0x11, ends4+tlv(valueTLS, "\x01\x00\x00\x00\x00\x21\x00\x09x")),
	"v2, checksum wrong":     summed(ends4, 1),
	"v2, checksum too short": v2(0x21, 0x11, ends4+tlv(valueCRC32C, "\x00\x00\x00")),
	"v2, too large":          v2(0x21, 0x11, ends4+tlv(0xea, strings.Repeat("x", maxProxyRest-12-2))),
}

func TestA49ProxyHeaders(t *testing.T) {
	for name, c := range goodHeaders {
		r := strings.NewReader(c.header + "what follows")
		got, err := readProxyHeader(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rest, _ := io.ReadAll(r); string(rest) != "what follows" {
			t.Errorf("%s: %q follows", name, rest)
		}
		if got.source.IsValid() != (c.source != "") || c.source != "" && (got.source.String() != c.source || got.destination.String() != c.destination) || got.secure != c.secure {
			t.Errorf("%s: got %+v", name, got)
		}
		for n := range len(c.header) {
			if _, err := readProxyHeader(strings.NewReader(c.header[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s: %d bytes of it: %v", name, n, err)
			}
		}
	}
	for name, header := range badHeaders {
		if got, err := readProxyHeader(strings.NewReader(header + strings.Repeat("x", 100))); !errors.Is(err, errProxyHeader) || got != (proxied{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// TestA49ProxyChecksum changes each byte after the signature.
func TestA49ProxyChecksum(t *testing.T) {
	good := summed(ends4, 0)
	for i := len(proxySignature); i < len(good); i++ {
		bad := []byte(good)
		bad[i] ^= 0x40
		if got, err := readProxyHeader(strings.NewReader(string(bad))); err == nil && got.source.IsValid() && i < len(good)-len(tlv(4, "pad"))-7 {
			t.Errorf("byte %d: got %+v", i, got)
		}
	}
}

func FuzzA49ProxyHeader(f *testing.F) {
	for _, c := range goodHeaders {
		f.Add([]byte(c.header))
	}
	for _, header := range badHeaders {
		f.Add([]byte(header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := slices.Clone(b)
		r := strings.NewReader(string(b))
		p, err := readProxyHeader(r)
		read := len(b) - r.Len()
		if err != nil && p != (proxied{}) || !slices.Equal(b, before) {
			t.Fatalf("%q gives %+v, %v", b, p, err)
		}
		if err != nil {
			return
		}
		again, err := readProxyHeader(strings.NewReader(string(b[:read]) + "x"))
		if err != nil || again != p {
			t.Fatalf("%q gives %+v, and alone %+v, %v", b, p, again, err)
		}
		if p.source.IsValid() && (p.source.Addr().Is4In6() || p.source.Addr().Zone() != "") {
			t.Fatalf("%q gives %v", b, p.source)
		}
	})
}
