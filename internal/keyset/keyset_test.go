package keyset

import (
	"bytes"
	"runtime"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/slowtest"
)

var kinds = []Type{Ed25519, XWing, XAESGCM, HMAC, AESGCM}

// sets returns keysets of every type with keys in every state.
func sets(t testing.TB) []Keyset {
	t.Helper()
	var out []Keyset
	for _, kind := range kinds {
		set, err := Generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, set)
		for i, status := range []Status{Disabled, Enabled} {
			more, err := Generate(kind)
			if err != nil {
				t.Fatal(err)
			}
			key := more.Keys[0]
			key.Status = status
			key.Prefix = []Prefix{PrefixRaw, PrefixCrunchy}[i]
			if kind == XAESGCM {
				key.Prefix = PrefixRaw // it has no other
			}
			set.Keys = append(slices.Clone(set.Keys), key)
			out = append(out, set)
		}
	}
	return out
}

func mustAppend(t testing.TB, k Keyset) []byte {
	t.Helper()
	b, err := k.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func equal(a, b Keyset) bool {
	return a.Primary == b.Primary && slices.EqualFunc(a.Keys, b.Keys, func(x, y Key) bool {
		return x.ID == y.ID && x.Type == y.Type && x.Status == y.Status && x.Prefix == y.Prefix &&
			bytes.Equal(x.Secret, y.Secret) && bytes.Equal(x.Public, y.Public)
	})
}

func TestRoundTrip(t *testing.T) {
	for _, set := range sets(t) {
		got, err := Parse(mustAppend(t, set))
		if err != nil || !equal(got, set) {
			t.Errorf("type %d with %d keys came back otherwise: %v", set.Keys[0].Type, len(set.Keys), err)
		}
	}
}

func TestEveryPrefixAndExtensionIsRefused(t *testing.T) {
	step := 1
	if slowtest.Mode {
		step = 5
	}
	for _, set := range sets(t) {
		b := mustAppend(t, set)
		for n := 0; n < len(b); n += step {
			// A prefix that ends between two keys is a smaller keyset.
			if got, err := Parse(b[:n]); err == nil && len(got.Keys) >= len(set.Keys) {
				t.Fatalf("%d bytes of %d are read as the whole", n, len(b))
			}
		}
		for extra := 0; extra < 256; extra += step {
			if _, err := Parse(append(bytes.Clone(b), byte(extra))); err == nil {
				t.Fatalf("a trailing byte %02x is accepted", extra)
			}
		}
	}
}

// A23, and what else would make a keyset mean two things.
func TestA23AmbiguousKeysetsAreRefused(t *testing.T) {
	base, _ := Generate(HMAC)
	other, _ := Generate(HMAC)
	foreign, _ := Generate(XAESGCM)
	second := other.Keys[0]
	same := second
	same.ID = base.Primary
	disabled := base.Keys[0]
	disabled.Status = Disabled
	many := Keyset{Primary: base.Primary, Keys: base.Keys}
	for i := range MaxKeys {
		k := second
		k.ID = base.Primary ^ uint32(i+1)
		many.Keys = append(slices.Clone(many.Keys), k)
	}
	for name, set := range map[string]Keyset{
		"no keys":            {Primary: 1},
		"two keys of one id": {Primary: base.Primary, Keys: []Key{base.Keys[0], same}},
		"no such primary":    {Primary: base.Primary ^ 1, Keys: base.Keys},
		"disabled primary":   {Primary: base.Primary, Keys: []Key{disabled, second}},
		"two types":          {Primary: base.Primary, Keys: []Key{base.Keys[0], foreign.Keys[0]}},
		"too many keys":      many,
	} {
		if _, err := set.Append(nil); err == nil {
			t.Errorf("%s: written", name)
		}
		if _, err := Parse(appendUnchecked(set)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// What Tink does not load, this package does not read either.
func TestWhatTinkRefusesIsRefused(t *testing.T) {
	other, _ := Generate(XWing)
	for name, change := range map[string]func(*Key){
		"public half of another key": func(k *Key) { k.Public = other.Keys[0].Public },
		"no state":                   func(k *Key) { k.Status = 0 },
		"destroyed":                  func(k *Key) { k.Status = 3 },
		"no prefix type":             func(k *Key) { k.Prefix = 0 },
		"legacy prefix":              func(k *Key) { k.Prefix = 2 },
	} {
		set, _ := Generate(XWing)
		second, _ := Generate(XWing)
		set.Keys = append(set.Keys, second.Keys[0])
		if _, err := Parse(appendUnchecked(set)); err != nil {
			t.Fatal(err)
		}
		change(&set.Keys[1])
		if _, err := Parse(appendUnchecked(set)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	crunchy, _ := Generate(XAESGCM)
	crunchy.Keys[0].Prefix = PrefixCrunchy
	if _, err := Parse(appendUnchecked(crunchy)); err == nil {
		t.Error("XAES with a prefix that Tink does not have for it: read")
	}
}

// A30: protobuf has many encodings of one message; one is accepted.
func TestA30OneAcceptedEncoding(t *testing.T) {
	set, _ := Generate(HMAC)
	set.Primary, set.Keys[0].ID = 5, 5
	entry, _ := set.Keys[0].encode()
	good := mustAppend(t, set)
	for name, b := range map[string][]byte{
		"long varint":         append([]byte{1 << 3, 0x85, 0x00}, good[2:]...),
		"unknown field":       append(bytes.Clone(good), 9<<3, 1),
		"primary last":        append(bytes.Clone(good[2:]), good[:2]...),
		"primary twice":       append(bytes.Clone(good[:2]), good...),
		"zero spelled out":    appendBytes(appendNumber(nil, 1, 5), 2, append(bytes.Clone(entry), 5<<3, 0)),
		"fields out of order": appendBytes(appendNumber(nil, 1, 5), 2, append(bytes.Clone(entry[len(entry)-2:]), entry[:len(entry)-2]...)),
	} {
		if _, err := Parse(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// A24: an AES-GCM key has one size, one version and no parameters, and is not what
// another type's name says.
func TestA24AESGCMKeyIsExactlyThat(t *testing.T) {
	keyset := func(name string, value []byte) []byte {
		data := appendNumber(appendBytes(appendBytes(nil, 1, []byte(urlPrefix+name)), 2, value), 3, symmetric)
		entry := appendNumber(appendNumber(appendNumber(appendBytes(nil, 1, data), 2, 1), 3, 5), 4, 1)
		return appendBytes(appendNumber(nil, 1, 5), 2, entry)
	}
	secret := make([]byte, 64)
	value := appendBytes(nil, 3, secret[:32])
	if got, err := Parse(keyset("AesGcmKey", value)); err != nil || got.Keys[0].Type != AESGCM {
		t.Fatalf("the key itself: %v", err)
	}
	salted := appendBytes(appendBytes(nil, 2, []byte{1 << 3, 12}), 3, secret[:32])
	for name, b := range map[string][]byte{
		"16 bytes":               keyset("AesGcmKey", appendBytes(nil, 3, secret[:16])),
		"31 bytes":               keyset("AesGcmKey", appendBytes(nil, 3, secret[:31])),
		"64 bytes":               keyset("AesGcmKey", appendBytes(nil, 3, secret)),
		"no bytes":               keyset("AesGcmKey", nil),
		"version 0 spelled out":  keyset("AesGcmKey", append([]byte{1 << 3, 0}, value...)),
		"version 1":              keyset("AesGcmKey", append([]byte{1 << 3, 1}, value...)),
		"key twice":              keyset("AesGcmKey", append(bytes.Clone(value), value...)),
		"trailing field":         keyset("AesGcmKey", append(bytes.Clone(value), 4<<3, 1)),
		"parameters of XAES-GCM": keyset("AesGcmKey", salted),
		"named XAES-GCM":         keyset("XAesGcmKey", value),
		"named HMAC":             keyset("HmacKey", value),
		"named AES-GCM-SIV":      keyset("AesGcmSivKey", value),
	} {
		if _, err := Parse(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if got, err := Parse(keyset("XAesGcmKey", salted)); err != nil || got.Keys[0].Type != XAESGCM {
		t.Errorf("the salted key under its own name: %v", err)
	}
}

func appendUnchecked(k Keyset) []byte {
	b := appendNumber(nil, 1, uint64(k.Primary))
	for _, key := range k.Keys {
		entry, _ := key.encode()
		b = appendBytes(b, 2, entry)
	}
	return b
}

func FuzzParse(f *testing.F) {
	for _, set := range sets(f) {
		f.Add(mustAppend(f, set))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		set, err := Parse(b)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(b))+1<<16 {
			t.Fatalf("parsing %d bytes allocated %d", len(b), used)
		}
		if err != nil {
			return
		}
		if again := mustAppend(t, set); !bytes.Equal(again, b) {
			t.Fatalf("%x is read, and written again as %x", b, again)
		}
	})
}
