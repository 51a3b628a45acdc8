package core

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

// client calls a Core as JavaScript does: through the staging buffer.
type client struct {
	t    testing.TB
	core *Core
}

func newClient(t testing.TB) client { return client{t, New(func() {})} }

// call returns the response, or the error that the operation gave.
func (c client) call(name string, values ...any) (fields, error) {
	c.t.Helper()
	return c.raw(number(c.t, name), encode(values...))
}

func (c client) raw(op int, request []byte) (fields, error) {
	c.t.Helper()
	buffer := c.core.Buffer(len(request))
	if buffer == nil {
		return fields{}, errors.New("no room")
	}
	copy(buffer, request)
	n := c.core.Call(op, len(request))
	out := slices.Clone(c.core.Buffer(0)[len(request):][:max(n, -n)])
	f := fields{c.t, out}
	if n >= 0 {
		return f, nil
	}
	e := &Error{Code: f.text(), Message: f.text(), Reason: f.text()}
	for f.more() {
		e.Known = append(e.Known, f.text())
	}
	return fields{}, e
}

func (c client) must(name string, values ...any) fields {
	c.t.Helper()
	f, err := c.call(name, values...)
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	return f
}

// wantCode checks that the call fails with that code.
func (c client) wantCode(code, name string, values ...any) *Error {
	c.t.Helper()
	_, err := c.call(name, values...)
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		c.t.Errorf("%s: got %v, want code %s", name, err, code)
		return &Error{}
	}
	return e
}

func number(t testing.TB, name string) int {
	t.Helper()
	i := slices.Index(Operations(), name)
	if i < 0 {
		t.Fatalf("no operation %q", name)
	}
	return i
}

func encode(values ...any) (b []byte) {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			b = appendText(b, v)
		case []byte:
			b = appendBytes(b, v)
		case int:
			b = appendUint32(b, uint32(v))
		case uint32:
			b = appendUint32(b, v)
		case uint64:
			b = appendUint64(b, v)
		case time.Time:
			b = appendTime(b, v)
		case []uint32:
			var list []byte
			for _, h := range v {
				list = binary.LittleEndian.AppendUint32(list, h)
			}
			b = appendBytes(b, list)
		default:
			panic(v)
		}
	}
	return b
}

// fields reads a response.
type fields struct {
	t    testing.TB
	rest []byte
}

func (f *fields) bytes() []byte {
	f.t.Helper()
	if len(f.rest) < lengthSize || int(binary.LittleEndian.Uint32(f.rest)) > len(f.rest)-lengthSize {
		f.t.Fatalf("response ends early: %x", f.rest)
	}
	n := int(binary.LittleEndian.Uint32(f.rest))
	b := f.rest[lengthSize:][:n]
	f.rest = f.rest[lengthSize+n:]
	return b
}

func (f *fields) text() string   { f.t.Helper(); return string(f.bytes()) }
func (f *fields) number() uint32 { f.t.Helper(); return binary.LittleEndian.Uint32(f.bytes()) }
func (f *fields) uint64() uint64 { f.t.Helper(); return binary.LittleEndian.Uint64(f.bytes()) }
func (f *fields) more() bool     { return len(f.rest) > 0 }

func (f *fields) end() {
	f.t.Helper()
	if f.more() {
		f.t.Errorf("response has %d bytes more", len(f.rest))
	}
}

// identity is what JavaScript knows of one.
type identity struct {
	handle uint32
	public
}

type public struct {
	handle            uint32
	bytes             []byte
	name, fingerprint string
	serial            uint64
	issued, expires   uint64
	revoked           uint32
}

func readPublic(f *fields) public {
	f.t.Helper()
	return public{f.number(), f.bytes(), f.text(), f.text(), f.uint64(), f.uint64(), f.uint64(), f.number()}
}

func (c client) generate(name string) identity {
	c.t.Helper()
	f := c.must("identityGenerate", name)
	defer f.end()
	return identity{f.number(), readPublic(&f)}
}

// guard has nothing to refuse, for keys of any origin: what Bytes gives where nothing was opened.
func (c client) guard() uint32 {
	c.t.Helper()
	f := c.must("guardParse", []byte{0x95, 3, 0xc4, 0, 0xce, 0, 4, 0x93, 0xe0, 0, 0x90})
	return f.number()
}
