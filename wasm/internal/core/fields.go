package core

import (
	"bytes"
	"encoding/binary"
	"time"
	"unicode/utf8"
)

// Requests, responses and errors are lists of fields:
//
//	message = field …
//	field   = length, 4 bytes little-endian ‖ that many bytes
//
// A field is one of
//
//	bytes    as they are
//	text     UTF-8
//	number   4 bytes little-endian; a handle is one, 0 stands for "none"
//	time     8 bytes little-endian, signed, milliseconds since 1970
//	serial   8 bytes little-endian
//	handles  4 bytes each
//
// The comment of each operation says which fields it takes and gives. Both sides
// are of one build, so that there is nothing to negotiate; all the same, a request
// that is not exactly what the operation takes is an error and never a panic.

const lengthSize = 4

// A request is taken apart field by field. Its first failure sticks.
type request struct {
	rest    []byte
	objects *objects
	err     error
}

var errRequest = &Error{Code: "bad-argument", Message: "the request does not have the fields that the operation takes"}

func (r *request) fail(err error) {
	if r.err == nil {
		r.err, r.rest = err, nil
	}
}

// done returns the first failure, and one if fields are left.
func (r *request) done() error {
	if len(r.rest) > 0 {
		r.fail(errRequest)
	}
	return r.err
}

// bytes returns the next field, a part of the request.
func (r *request) bytes() []byte {
	if len(r.rest) < lengthSize {
		r.fail(errRequest)
		return nil
	}
	n := binary.LittleEndian.Uint32(r.rest)
	if uint64(n) > uint64(len(r.rest)-lengthSize) {
		r.fail(errRequest)
		return nil
	}
	b := r.rest[lengthSize:][:n:n]
	r.rest = r.rest[lengthSize+n:]
	return b
}

func (r *request) text() string {
	b := r.bytes()
	if !utf8.Valid(b) {
		r.fail(errRequest)
		return ""
	}
	return string(b)
}

func (r *request) fixed(size int) []byte {
	b := r.bytes()
	if len(b) != size {
		r.fail(errRequest)
		return make([]byte, size)
	}
	return b
}

func (r *request) uint32() uint32 { return binary.LittleEndian.Uint32(r.fixed(4)) }

func (r *request) uint64() uint64 { return binary.LittleEndian.Uint64(r.fixed(8)) }

func (r *request) time() time.Time {
	ms := int64(r.uint64())
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (r *request) clone() []byte { return bytes.Clone(r.bytes()) }

// object returns the Go object of the next field's handle, or the zero T for
// handle 0.
func object[T any](r *request) (v T) {
	h := r.uint32()
	if r.err != nil || h == 0 {
		return v
	}
	v, ok := r.objects.get(h).(T)
	if !ok {
		r.fail(errClosed)
	}
	return v
}

// required is object for operations that cannot do without.
func required[T comparable](r *request) T {
	v := object[T](r)
	var none T
	if v == none {
		r.fail(errClosed)
	}
	return v
}

// taken is required for an object that the operation ends, whatever comes of it.
func taken[T comparable](r *request) T {
	field := r.rest
	v := required[T](r)
	if r.err == nil {
		r.objects.remove(getHandle(field))
	}
	return v
}

// getHandle returns the handle in the first of some fields, which was read already.
func getHandle(fields []byte) uint32 { return binary.LittleEndian.Uint32(fields[lengthSize:]) }

// list returns the Go objects of a field of handles.
func list[T any](r *request) []T {
	b := r.bytes()
	if len(b)%4 != 0 {
		r.fail(errRequest)
		return nil
	}
	out := make([]T, 0, len(b)/4)
	for ; len(b) > 0; b = b[4:] {
		v, ok := r.objects.get(binary.LittleEndian.Uint32(b)).(T)
		if !ok {
			r.fail(errClosed)
			return nil
		}
		out = append(out, v)
	}
	return out
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(b))), b...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

func appendUint32(dst []byte, v uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(dst, 4), v)
}

func appendUint64(dst []byte, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(dst, 8), v)
}

func appendTime(dst []byte, t time.Time) []byte { return appendUint64(dst, uint64(t.UnixMilli())) }

// appendWith lets f append one field's bytes in place.
func appendWith(dst []byte, f func(dst []byte) ([]byte, error)) ([]byte, error) {
	at := len(dst)
	out, err := f(append(dst, make([]byte, lengthSize)...))
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-lengthSize))
	return out, nil
}
