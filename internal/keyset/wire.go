package keyset

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// How each type is named and laid out. All formats share one shape: version 0
// (absent, as protobuf omits zeros), parameters, key.
const (
	urlPrefix  = "type.googleapis.com/google.crypto.tink."
	symmetric  = 1 // KeyMaterialType SYMMETRIC
	asymmetric = 2 // KeyMaterialType ASYMMETRIC_PRIVATE
	secretSize = 32
)

type format struct {
	kind       Type
	name       string // of the protobuf message
	material   uint64
	publicSize int
	params     []byte // encoded parameter message, nil where there is none
}

// The parameter messages, byte for byte: XAesGcmParams{salt_size: 12},
// HmacParams{hash: SHA256, tag_size: 32}, HpkeParams{kem: X_WING, kdf:
// HKDF_SHA256, aead: AES_256_GCM}.
var formats = []format{
	{Ed25519, "Ed25519PrivateKey", asymmetric, 32, nil},
	{XWing, "HpkePrivateKey", asymmetric, 1216, []byte{1 << 3, 5, 2 << 3, 1, 3 << 3, 2}},
	{XAESGCM, "XAesGcmKey", symmetric, 0, []byte{1 << 3, 12}},
	{HMAC, "HmacKey", symmetric, 0, []byte{1 << 3, 3, 2 << 3, 32}},
	{AESGCM, "AesGcmKey", symmetric, 0, nil},
}

func formatOf(kind Type) (format, bool) {
	for _, f := range formats {
		if f.kind == kind {
			return f, true
		}
	}
	return format{}, false
}

// Append appends the keyset's binary form to dst.
//
//	Keyset  { primary_key_id = 1; repeated Key key = 2 }
//	Key     { key_data = 1; status = 2; key_id = 3; output_prefix_type = 4 }
//	KeyData { type_url = 1; value = 2; key_material_type = 3 }
func (k Keyset) Append(dst []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	dst = appendNumber(dst, 1, uint64(k.Primary))
	for _, key := range k.Keys {
		entry, err := key.encode()
		if err != nil {
			return nil, err
		}
		dst = appendBytes(dst, 2, entry)
	}
	return dst, nil
}

func (key Key) encode() ([]byte, error) {
	f, ok := formatOf(key.Type)
	if !ok || len(key.Secret) != secretSize || len(key.Public) != f.publicSize {
		return nil, ErrMalformed
	}
	data := appendBytes(nil, 1, []byte(urlPrefix+f.name))
	data = appendBytes(data, 2, f.encode(key))
	b := appendBytes(nil, 1, appendNumber(data, 3, f.material))
	b = appendNumber(b, 2, uint64(key.Status))
	b = appendNumber(b, 3, uint64(key.ID))
	return appendNumber(b, 4, uint64(key.Prefix)), nil
}

// encode lays the key itself out:
//
//	Ed25519PrivateKey { key_value = 2; public_key = 3 { key_value = 2 } }
//	HpkePrivateKey    { public_key = 2 { params = 2; public_key = 3 }; private_key = 3 }
//	XAesGcmKey, HmacKey { params = 2; key_value = 3 }
//	AesGcmKey         { key_value = 3 }
func (f format) encode(key Key) []byte {
	switch f.kind {
	case Ed25519:
		b := appendBytes(nil, 2, key.Secret)
		return appendBytes(b, 3, appendBytes(nil, 2, key.Public))
	case XWing:
		public := appendBytes(appendBytes(nil, 2, f.params), 3, key.Public)
		return appendBytes(appendBytes(nil, 2, public), 3, key.Secret)
	case AESGCM:
		return appendBytes(nil, 3, key.Secret)
	}
	return appendBytes(appendBytes(nil, 2, f.params), 3, key.Secret)
}

// Parse reads a keyset. The keys' bytes are parts of b, not copies. It returns
// [ErrMalformed] for anything that [Keyset.Append] would not have written.
func Parse(b []byte) (Keyset, error) {
	r := reader{rest: b}
	var k Keyset
	k.Primary = uint32(r.number(1, 1<<32-1))
	for len(r.rest) > 0 && len(k.Keys) <= MaxKeys {
		k.Keys = append(k.Keys, parseKey(&r, r.bytes(2)))
	}
	if r.failed || k.check() != nil {
		return Keyset{}, ErrMalformed
	}
	// Encoding again settles at once what a reader would have to check field
	// by field: order, repetition, long varints, zero values spelled out.
	again, err := k.Append(make([]byte, 0, len(b)))
	if err != nil || !bytes.Equal(again, b) {
		return Keyset{}, ErrMalformed
	}
	return k, nil
}

func parseKey(outer *reader, b []byte) Key {
	r := reader{rest: b}
	var key Key
	key.data(&r, r.bytes(1))
	key.Status = Status(r.number(2, 3))
	key.ID = uint32(r.number(3, 1<<32-1))
	key.Prefix = Prefix(r.number(4, 4))
	if r.failed || len(r.rest) != 0 || !key.known() {
		outer.failed = true
	}
	return key
}

// known reports whether Tink would load the key: its state is one, its prefix is
// one for its type, and its public half belongs to the secret one.
func (key Key) known() bool {
	prefix := key.Prefix == PrefixTink || key.Prefix == PrefixRaw || key.Prefix == PrefixCrunchy && key.Type != XAESGCM
	state := key.Status == Enabled || key.Status == Disabled
	if !prefix || !state || len(key.Secret) != secretSize {
		return false
	}
	public, err := PublicOf(key.Type, key.Secret)
	return err == nil && bytes.Equal(public, key.Public)
}

func (key *Key) data(outer *reader, b []byte) {
	r := reader{rest: b}
	name, ok := strings.CutPrefix(string(r.bytes(1)), urlPrefix)
	value := r.bytes(2)
	material := r.number(3, 4)
	for _, f := range formats {
		if ok && f.name == name && f.material == material {
			key.Type = f.kind
			f.decode(key, &r, value)
		}
	}
	if r.failed || len(r.rest) != 0 || key.Type == 0 {
		outer.failed = true
	}
}

func (f format) decode(key *Key, outer *reader, b []byte) {
	r := reader{rest: b}
	switch f.kind {
	case Ed25519:
		key.Secret = r.bytes(2)
		public := reader{rest: r.bytes(3)}
		key.Public = public.bytes(2)
	case XWing:
		public := reader{rest: r.bytes(2)}
		public.bytes(2) // parameters: compared when the key is encoded again
		key.Public = public.bytes(3)
		key.Secret = r.bytes(3)
	case AESGCM:
		key.Secret = r.bytes(3)
	default:
		r.bytes(2)
		key.Secret = r.bytes(3)
	}
	outer.failed = outer.failed || r.failed
}

// reader takes the two protobuf wire types in use apart: varint and bytes.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) next(field byte) bool {
	return len(r.rest) > 0 && r.rest[0]>>3 == field
}

// number reads a varint field; an absent one is 0, as in protobuf.
func (r *reader) number(field byte, most uint64) uint64 {
	if !r.next(field) {
		return 0
	}
	v, n := binary.Uvarint(r.rest[1:])
	if r.rest[0] != field<<3 || n <= 0 || v > most {
		r.fail()
		return 0
	}
	r.rest = r.rest[1+n:]
	return v
}

func (r *reader) bytes(field byte) []byte {
	if !r.next(field) || r.rest[0] != field<<3|2 {
		r.fail()
		return nil
	}
	size, n := binary.Uvarint(r.rest[1:])
	if n <= 0 || size > uint64(len(r.rest)-1-n) {
		r.fail()
		return nil
	}
	b := r.rest[1+n:][:size:size]
	r.rest = r.rest[1+n:][size:]
	return b
}

func (r *reader) fail() { r.failed, r.rest = true, nil }

func appendNumber(dst []byte, field byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(append(dst, field<<3), v)
}

func appendBytes(dst []byte, field byte, b []byte) []byte {
	dst = binary.AppendUvarint(append(dst, field<<3|2), uint64(len(b)))
	return append(dst, b...)
}
