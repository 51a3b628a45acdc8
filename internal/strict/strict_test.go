package strict

import (
	"bytes"
	"encoding/hex"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// encode is the foreign implementation that this package is held against.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	e.SetSortMapKeys(true)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUintIsWhatOthersWriteAndRead(t *testing.T) {
	for shift := range 64 {
		for _, v := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			b := AppendUint(nil, v)
			if want := encode(t, v); !bytes.Equal(b, want) {
				t.Fatalf("%d is written %x, want %x", v, b, want)
			}
			r := NewReader(b)
			if got := r.Uint(); got != v || r.Done() != nil {
				t.Fatalf("%x is read as %d, %v", b, got, r.Done())
			}
		}
	}
}

func TestIntIsWhatOthersWrite(t *testing.T) {
	for shift := range 64 {
		for _, v := range []int64{1<<shift - 1, 1 << shift, -1 << shift, -1<<shift - 1, -1<<shift + 1} {
			r := NewReader(encode(t, v))
			if got := r.Int(); got != v || r.Done() != nil {
				t.Errorf("%d is read as %d, %v", v, got, r.Done())
			}
		}
	}
	for _, text := range []string{"", "cf8000000000000000", "cfffffffffffffffff", "cc7f", "d0e0", "d001", "d1ff80", "d3ffffffff80000000", "d1ff", "c0", "a0", "c2", "cb0000000000000000"} {
		b, _ := hex.DecodeString(text)
		if r := NewReader(b); r.Int() != 0 || r.Done() == nil {
			t.Errorf("%s is read as an integer", text)
		}
	}
}

func TestScalarsAreWhatOthersWrite(t *testing.T) {
	for _, v := range []bool{false, true} {
		if r := NewReader(encode(t, v)); r.Bool() != v || r.Done() != nil {
			t.Errorf("%v is read otherwise", v)
		}
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 1.5, -1e300, math.Inf(1)} {
		r, r32 := NewReader(encode(t, v)), NewReader(encode(t, float32(v)))
		if got := r.Float64(); math.Float64bits(got) != math.Float64bits(v) || r.Done() != nil {
			t.Errorf("%v is read as %v", v, got)
		}
		if got := r32.Float32(); math.Float32bits(got) != math.Float32bits(float32(v)) || r32.Done() != nil {
			t.Errorf("%v is read as %v of 32 bits", v, got)
		}
	}
	for _, v := range []any{nil, 0, 1, "", []byte{}, []any{}, map[string]any{}, true, float32(1), 1.0} {
		b := encode(t, v)
		r, r32, r64 := NewReader(b), NewReader(b), NewReader(b)
		r.Bool()
		r32.Float32()
		r64.Float64()
		_, isBool := v.(bool)
		_, is32 := v.(float32)
		_, is64 := v.(float64)
		if (r.Done() == nil) != isBool || (r32.Done() == nil) != is32 || (r64.Done() == nil) != is64 {
			t.Errorf("%T is taken for another type", v)
		}
	}
}

func TestMapLen(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 65535, 65536} {
		m := make(map[string]bool)
		for i := range n {
			m[string(rune(0x10000+i))] = true
		}
		if r := NewReader(encode(t, m)); r.MapLen(0, n) != n || r.Failed() {
			t.Errorf("a map of %d is not read", n)
		}
		if r := NewReader(encode(t, m)); r.MapLen(n+1, n+2) != 0 || !r.Failed() {
			t.Errorf("a map of %d passes for %d", n, n+1)
		}
		if r := NewReader(encode(t, m)); n > 0 && (r.MapLen(0, n-1) != 0 || !r.Failed()) {
			t.Errorf("a map of %d passes for %d", n, n-1)
		}
	}
	for _, text := range []string{"", "82a0c0a0", "81a0", "de0001a0c0", "df00000001a0c0", "dfffffffff", "90", "c0"} {
		b, _ := hex.DecodeString(text)
		if r := NewReader(b); r.MapLen(0, 10) != 0 || !r.Failed() {
			t.Errorf("%s starts a map", text)
		}
	}
}

func TestStringsAndArraysAreWhatOthersWrite(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		s := strings.Repeat("x", n)
		if got := AppendStr(nil, s); !bytes.Equal(got, encode(t, s)) {
			t.Errorf("text of %d bytes differs", n)
		}
		if got := AppendBin(nil, []byte(s)); !bytes.Equal(got, encode(t, []byte(s))) {
			t.Errorf("bytes of length %d differ", n)
		}
		array := AppendArray(nil, n)
		for range n {
			array = AppendNil(array)
		}
		if !bytes.Equal(array, encode(t, make([]any, n))) {
			t.Errorf("array of %d differs", n)
		}
		if err := Valid(array); err != nil {
			t.Errorf("array of %d: %v", n, err)
		}
	}
}

// A30: each of these is another encoding of something, or of nothing.
func TestA30OneAcceptedEncoding(t *testing.T) {
	refused := map[string]string{
		"empty":                       "",
		"trailing byte":               "c0c0",
		"reserved code":               "c1",
		"uint8 that fits a fixint":    "cc7f",
		"uint16 that fits uint8":      "cd00ff",
		"uint32 that fits uint16":     "ce0000ffff",
		"uint64 that fits uint32":     "cf00000000ffffffff",
		"int8 that fits a fixint":     "d0e0",
		"int8 that is positive":       "d001",
		"int16 that fits int8":        "d1ff80",
		"int32 that fits int16":       "d2ffff8000",
		"int64 that fits int32":       "d3ffffffff80000000",
		"str8 that fits fixstr":       "d90141",
		"str16 that fits str8":        "da000141",
		"str32 that fits str16":       "db0000000141",
		"bin16 that fits bin8":        "c5000141",
		"bin32 that fits bin16":       "c60000000141",
		"array16 that fits fixarray":  "dc0001c0",
		"array32 that fits array16":   "dd00000001c0",
		"map16 that fits fixmap":      "de0001a141c0",
		"map32 that fits map16":       "df00000001a141c0",
		"duplicate map key":           "82a141c0a141c0",
		"map keys out of order":       "82a142c0a141c0",
		"two empty map keys":          "82a0c0a0c0",
		"integer map key":             "8101c0",
		"binary map key":              "81c40141c0",
		"array as map key":            "8190c0",
		"text that is not UTF-8":      "a1ff",
		"surrogate half in text":      "a3eda080",
		"fixext":                      "d40100",
		"ext8":                        "c7010100",
		"timestamp extension":         "d6ff00000000",
		"array longer than the input": "92c0",
		"map longer than the input":   "82a141c0",
		"bytes longer than the input": "c40241",
		"float cut short":             "cb0000",
		"4 GiB of text in 5 bytes":    "dbffffffff",
		"4 G values in 5 bytes":       "ddffffffff",
		"4 G pairs in 5 bytes":        "dfffffffff",
	}
	for name, text := range refused {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if Valid(b) == nil {
			t.Errorf("%s: %s is accepted", name, text)
		}
	}
}

func TestValidAcceptsWhatEncodersWrite(t *testing.T) {
	for _, v := range []any{
		nil, true, false, 0, -1, -32, -33, math.MinInt8, math.MinInt8 - 1, math.MinInt16, math.MinInt16 - 1,
		math.MinInt32, int64(math.MinInt32 - 1), int64(math.MinInt64), int64(math.MaxInt64), uint64(math.MaxUint64),
		1.5, float32(1.5), "", "text", "\U0001F600", []byte{}, []byte{1, 2}, []any{}, []any{1, []any{2, "x"}},
		map[string]any{}, map[string]any{"": 1, "a": []any{1}, "b": map[string]any{"c": nil}},
	} {
		if b := encode(t, v); Valid(b) != nil {
			t.Errorf("%v: %x is refused", v, b)
		}
	}
}

// A29: nesting is refused past the limit, at any length, without recursion.
func TestA29DepthLimit(t *testing.T) {
	for _, open := range [][]byte{{0x91}, {0x81, 0xa0}} {
		at := append(bytes.Repeat(open, MaxDepth), 0xc0)
		if err := Valid(at); err != nil {
			t.Errorf("depth %d: %v", MaxDepth, err)
		}
		past := append(bytes.Repeat(open, MaxDepth+1), 0xc0)
		if Valid(past) == nil {
			t.Errorf("depth %d is accepted", MaxDepth+1)
		}
		if Valid(bytes.Repeat(open, 2<<20)) == nil {
			t.Error("2 MiB of opening brackets are accepted")
		}
	}
}

// A28: five bytes that promise 4 GiB cost nothing.
func TestA28LengthsAreCheckedBeforeAllocation(t *testing.T) {
	for _, text := range []string{"dbffffffff", "c6ffffffff", "ddffffffff", "dfffffffff"} {
		b, _ := hex.DecodeString(text)
		if n := testing.AllocsPerRun(10, func() { Valid(b) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
		if n := testing.AllocsPerRun(10, func() {
			r := NewReader(b)
			r.Bin(0, math.MaxInt)
			r = NewReader(b)
			r.StrBytes(0, math.MaxInt)
			r = NewReader(b)
			r.ArrayLen(0, math.MaxInt)
		}); n != 0 {
			t.Errorf("%s: %v allocations by a Reader", text, n)
		}
	}
}

func TestReaderIsBoundedByTheCaller(t *testing.T) {
	bin := AppendBin(nil, make([]byte, 10))
	for _, bounds := range [][2]int{{0, 9}, {11, 20}} {
		if r := NewReader(bin); r.Bin(bounds[0], bounds[1]) != nil || r.Done() == nil {
			t.Errorf("10 bytes pass for %v", bounds)
		}
		if r := NewReader(AppendStr(nil, "0123456789")); r.Str(bounds[0], bounds[1]) != "" || r.Done() == nil {
			t.Errorf("a text of 10 bytes passes for %v", bounds)
		}
	}
	if r := NewReader(AppendArray(nil, 0)); r.ArrayLen(1, 2) != 0 || !r.Failed() {
		t.Error("an empty array passes for one of 1 to 2")
	}
}

func TestReaderFailureSticks(t *testing.T) {
	r := NewReader([]byte{0xc0, 0x01, 0x02})
	if r.Uint() != 0 || !r.Failed() || r.Uint() != 0 || r.Bin(0, 10) != nil || r.Nil() || r.Done() == nil {
		t.Error("a Reader went on after it failed")
	}
}

func TestReaderResultHasNoSpareCapacity(t *testing.T) {
	r := NewReader(append(AppendBin(nil, []byte{1, 2}), 0xc0))
	if b := r.Bin(0, 2); cap(b) != 2 {
		t.Errorf("capacity %d: an append would overwrite what follows", cap(b))
	}
}

func FuzzValid(f *testing.F) {
	f.Add(encode(f, map[string]any{"a": []any{1, "x", []byte{1}, 1.5, nil, -70000}}))
	f.Add(bytes.Repeat([]byte{0x91}, 100))
	f.Add([]byte{0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if Valid(b) != nil {
			return
		}
		// What passes must be safe for a general decoder, and mean one thing.
		var v any
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := msgpack.NewDecoder(bytes.NewReader(b))
		d.UseLooseInterfaceDecoding(false)
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%x is valid, but does not decode: %v", b, err)
		}
		runtime.ReadMemStats(&after)
		// The general decoder boxes every value, so its factor is its own;
		// what matters is that it is bounded.
		if used := after.TotalAlloc - before.TotalAlloc; used > 64*uint64(len(b))+1<<16 {
			t.Fatalf("decoding %d bytes took %d", len(b), used)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(AppendBin(AppendStr(AppendUint(AppendArray(nil, 3), 7), "x"), []byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		r.Array(3)
		n, s, raw := r.Uint(), r.Str(0, len(b)), r.Bin(0, len(b))
		if r.Done() != nil {
			return
		}
		again := AppendBin(AppendStr(AppendUint(AppendArray(nil, 3), n), s), raw)
		if !bytes.Equal(again, b) {
			t.Fatalf("%x is read, and written again as %x", b, again)
		}
	})
}
