package typed

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hopseal/hopseal/internal/strict"
)

func shape(t testing.TB, typ reflect.Type) *Shape {
	t.Helper()
	s, err := Of(typ)
	if err != nil {
		t.Fatalf("%v: %v", typ, err)
	}
	return s
}

// addressable returns a copy of v with an address.
func addressable(v any) reflect.Value {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Elem()
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := shape(t, reflect.TypeOf(v)).Encode(addressable(v))
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type level int8

type leaf struct {
	B bool
	F float32 `msgpack:"f,omitempty"`
}

type everything struct {
	Zulu   string             `msgpack:"a" hopseal:"max=100"` // not in the order of its fields
	Bool   bool               `msgpack:"bool,omitempty"`
	Int    int                `msgpack:"int"`
	Int8   level              `msgpack:"int8,omitempty"`
	Int64  int64              `msgpack:"int64"`
	Uint8  uint8              `msgpack:"uint8"`
	Uint64 uint64             `msgpack:"uint64,omitempty"`
	Float  float64            `msgpack:"float,omitempty"`
	Wait   time.Duration      `msgpack:"wait"`
	Bytes  []byte             `msgpack:"bytes" hopseal:"max=1000"`
	Array  [4]byte            `msgpack:"array,omitempty"`
	None   [0]byte            `msgpack:"none"`
	Pair   [2]level           `msgpack:"pair"`
	Texts  []string           `msgpack:"texts,omitempty" hopseal:"max=50"`
	Leaves []leaf             `msgpack:"leaves"`
	Leaf   leaf               `msgpack:"leaf,omitempty"`
	Maybe  *leaf              `msgpack:"maybe"`
	Price  *float64           `msgpack:"price,omitempty"`
	Name   *string            `hopseal:"max=10"`
	Arrays *[2]leaf           `msgpack:"arrays,omitempty"`
	Map    map[string]string  `msgpack:"map" hopseal:"max=100"`
	Bools  map[string]bool    `msgpack:"bools,omitempty"`
	Maps   map[word]leaves    `msgpack:"maps,omitempty"`
	Keys   map[string][4]byte `msgpack:"keys,omitempty"`
	Next   *everything        `msgpack:"next,omitempty"`
	hidden int
	Gone   chan int `msgpack:"-"`
}

type word string
type leaves []*leaf
type tree []tree
type branches map[string]branches

var types = []reflect.Type{
	reflect.TypeFor[everything](), reflect.TypeFor[*everything](), reflect.TypeFor[[]everything](),
	reflect.TypeFor[map[string]*everything](), reflect.TypeFor[[3]leaf](), reflect.TypeFor[bool](),
	reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[[32]byte](), reflect.TypeFor[[]string](),
	reflect.TypeFor[[][]byte](), reflect.TypeFor[map[string]string](), reflect.TypeFor[map[string][]int16](),
	reflect.TypeFor[tree](), reflect.TypeFor[branches](), reflect.TypeFor[struct{}](), reflect.TypeFor[[]struct{}](),
	reflect.TypeFor[map[string]map[string][20]byte](),
}

// fill makes v a random value, nested at most depth deep.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> (64 - v.Type().Bits()) >> r.IntN(v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()) >> r.IntN(v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), 1.5, -3, math.Inf(1), float64(r.Float32())}[r.IntN(6)])
	case reflect.String:
		v.SetString([]string{"", "x", "é\U0001F600", strings.Repeat("t", r.IntN(10)), "plain text"}[r.IntN(5)])
	case reflect.Pointer:
		if r.IntN(2) == 0 && depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("msgpack") != "-" {
				fill(r, v.Field(i), depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth-1)
		}
	case reflect.Slice:
		if n := r.IntN(5); n > 0 && depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
			for i := range n - 1 {
				fill(r, v.Index(i), depth-1)
			}
		}
	case reflect.Map:
		if n := r.IntN(12); n > 0 && depth > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(r, key, 0)
				fill(r, elem, depth-1)
				v.SetMapIndex(key, elem)
			}
		}
	default:
		panic(v.Type())
	}
}

// What is encoded decodes to the same value, nil and empty, 0 and -0 told apart.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range types {
		s := shape(t, typ)
		for range 200 {
			v := reflect.New(typ).Elem()
			fill(r, v, 4)
			b, err := s.Encode(v)
			if typ.Kind() == reflect.Pointer && v.IsNil() {
				if err == nil {
					t.Errorf("%v: nil is encoded", typ)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			if err := strict.Valid(b); err != nil {
				t.Fatalf("%v: %x: %v", typ, b, err)
			}
			got := reflect.New(typ).Elem()
			if err := s.Decode(b, got); err != nil {
				t.Fatalf("%v: %x: %v", typ, b, err)
			}
			if !reflect.DeepEqual(v.Interface(), got.Interface()) {
				t.Fatalf("%v: %+v is read as %+v", typ, v, got)
			}
			if again, err := s.Encode(got); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%v: %x, then %x, %v", typ, b, again, err)
			}
		}
	}
}

// What is not exported, or tagged so, stays here.
func TestFieldsThatAreLeftOut(t *testing.T) {
	v, got := everything{hidden: 5, Gone: make(chan int)}, everything{}
	if err := shape(t, reflect.TypeFor[everything]()).Decode(encode(t, v), reflect.ValueOf(&got).Elem()); err != nil || got.hidden != 0 || got.Gone != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// randomType returns a type of at most depth levels. Its fields are declared in no
// order, half of them under another name.
func randomType(r *rand.Rand, depth int) reflect.Type {
	leaves := []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[int64](), reflect.TypeFor[uint16](), reflect.TypeFor[uint64](),
		reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[[3]byte](),
	}
	if depth == 0 {
		return leaves[r.IntN(len(leaves))]
	}
	switch r.IntN(6) {
	case 0:
		return reflect.SliceOf(randomType(r, depth-1))
	case 1:
		return reflect.MapOf(reflect.TypeFor[string](), randomType(r, depth-1))
	case 2:
		return reflect.ArrayOf(r.IntN(3), randomType(r, depth-1))
	case 3:
		to := randomType(r, depth-1)
		if _, err := Of(reflect.PointerTo(to)); err == nil {
			return reflect.PointerTo(to)
		}
		return to
	}
	var fields []reflect.StructField
	for _, i := range r.Perm(1 + r.IntN(5)) {
		f := reflect.StructField{Name: string(rune('A'+i)) + "Field", Type: randomType(r, depth-1)}
		if r.IntN(2) == 0 {
			f.Tag = reflect.StructTag(`msgpack:"` + string(rune('z'-i)) + `"`)
		}
		fields = append(fields, f)
	}
	return reflect.StructOf(fields)
}

// The encoding means to a general reader what the library's own encoding means, for
// types that nobody thought of.
func TestEncodingIsTheLibrarysInAnotherOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		v := reflect.New(randomType(r, 3)).Elem()
		fill(r, v, 4)
		ours, err := shape(t, v.Type()).Encode(v)
		if v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", v.Type(), err)
		}
		var theirs bytes.Buffer
		e := msgpack.NewEncoder(&theirs)
		e.UseCompactInts(true)
		if err := e.Encode(v.Addr().Interface()); err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := errors.Join(msgpack.Unmarshal(ours, &a), msgpack.Unmarshal(theirs.Bytes(), &b)); err != nil {
			t.Fatal(err)
		}
		if len(ours) != theirs.Len() || !reflect.DeepEqual(a, b) {
			t.Fatalf("%v: %x, the library writes %x", v.Type(), ours, theirs.Bytes())
		}
		got := reflect.New(v.Type()).Elem()
		if err := shape(t, v.Type()).Decode(ours, got); err != nil || !reflect.DeepEqual(v.Interface(), got.Interface()) {
			t.Fatalf("%v: %v", v.Type(), err)
		}
	}
}

// The layout, byte for byte, as other languages have to write it.
func TestEncoding(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{struct {
			B  int
			A  []byte `msgpack:"a"`
			BB bool
		}{300, nil, true}, "83 a142 cd012c a24242 c3 a161 c0"},
		{struct {
			F float64  `msgpack:"f"`
			G float32  `msgpack:"g"`
			H float64  `msgpack:"h,omitempty"`
			P *float64 `msgpack:"p"`
		}{F: 3}, "83 a166 cb4008000000000000 a167 ca00000000 a170 c0"},
		{map[string]int{"b": -1, "aa": -33, "a": 0}, "83 a161 00 a26161 d0df a162 ff"},
		{[2]byte{1, 2}, "c4020102"},
		{[2]int{1, 2}, "920102"},
		{[]string(nil), "c0"},
		{[]string{}, "90"},
	} {
		if got := encode(t, c.v); !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%#v is %x, want %s", c.v, got, c.want)
		}
	}
}

type marshalled struct{}

func (*marshalled) MarshalText() ([]byte, error) { return nil, nil }

type custom int

func (custom) EncodeMsgpack(*msgpack.Encoder) error { return nil }

type marshalledKey string

func (marshalledKey) MarshalText() ([]byte, error) { return nil, nil }

type selfPointer *selfPointer

type selfEmbedding struct{ *selfEmbedding }

type octet byte

// Types that would be encoded otherwise, or never to an end, are refused by name.
func TestTypesThatHaveNoEncoding(t *testing.T) {
	for _, c := range []struct {
		v    any
		path string
		text string
	}{
		{struct {
			Items []struct{ At map[string]time.Time }
		}{}, "Items[].At[]", "time.Time encodes itself"},
		{struct{ At *time.Time }{}, "At", "*time.Time encodes itself"},
		{struct{ M marshalled }{}, "M", "MarshalText"},
		{struct{ C custom }{}, "C", "EncodeMsgpack"},
		{struct{ R msgpack.RawMessage }{}, "R", "encodes itself"},
		{struct{ A any }{}, "A", "interface {} has no encoding"},
		{struct{ A []error }{}, "A[]", "error has no encoding"},
		{map[string]any{}, "[]", "no encoding"},
		{struct{ C chan int }{}, "C", "chan int has no encoding"},
		{struct{ F func() }{}, "F", "func() has no encoding"},
		{struct{ U uintptr }{}, "U", "no encoding"},
		{struct{ C complex64 }{}, "C", "no encoding"},
		{map[int]string{}, "", "keys that are not plain strings"},
		{map[marshalledKey]string{}, "", "keys that are not plain strings"},
		{map[[4]byte]string{}, "", "keys that are not plain strings"},
		{struct{ P **int }{}, "P", "nil itself"},
		{struct{ P *[]int }{}, "P", "nil itself"},
		{struct{ P *map[string]int }{}, "P", "nil itself"},
		{selfPointer(nil), "", "nil itself"},
		{[]octet{}, "", "must be byte"},
		{[3]octet{}, "", "must be byte"},
		{selfEmbedding{}, "selfEmbedding", "embedded"},
		{struct{ leaf }{}, "leaf", "embedded"},
		{struct {
			_msgpack struct{} `msgpack:",as_array"`
			A        int
		}{}, "_msgpack", "whole struct"},
		{struct {
			A int `msgpack:"x"`
			B int `msgpack:"x"`
		}{}, "B", "another field"},
		{struct {
			A int `msgpack:"B"`
			B int
		}{}, "B", "another field"},
		{struct {
			A string `msgpack:"a,intern"`
		}{}, "A", "option"},
		{struct {
			A leaf `msgpack:",inline"`
		}{}, "A", "option"},
		{struct {
			A int `msgpack:"a,omitempty,alias:b"`
		}{}, "A", "option"},
		{struct {
			A int `msgpack:"alias:b"`
		}{}, "A", "letters"},
		{struct {
			A int `msgpack:"'a,b'"`
		}{}, "A", "option"},
		{struct {
			A int `msgpack:" a"`
		}{}, "A", "letters"},
		{struct {
			A int `msgpack:"a\u202eb"`
		}{}, "A", "letters"},
		{struct {
			a int `msgpack:"a"`
		}{}, "a", "not exported"},
		{struct {
			a string `hopseal:"max=1"`
		}{}, "a", "not exported"},
		{struct {
			A string `msgpack:"-" hopseal:"max=1"`
		}{}, "A", "left out"},
		{struct {
			A string `hopseal:"most=1"`
		}{}, "A", "hopseal tag"},
	} {
		_, err := Of(reflect.TypeOf(c.v))
		e, ok := errors.AsType[*ValueError](err)
		if !ok || e.Path != c.path || !strings.Contains(e.Reason, c.text) {
			t.Errorf("%T: %v, want %s at %q", c.v, err, c.text, c.path)
		}
	}
}

// A tag that is not understood would bound nothing.
func TestBadBounds(t *testing.T) {
	of := func(typ reflect.Type, tag string) error {
		_, err := Of(reflect.StructOf([]reflect.StructField{{Name: "A", Type: typ, Tag: reflect.StructTag("hopseal:\"" + tag + "\"")}}))
		return err
	}
	text := reflect.TypeFor[string]()
	for _, tag := range []string{"", "max", "max=", "max=-1", "max=+1", "max=01", "max=1e3", "max=2147483648", "max=1,min=0", "min=1", "Max=1", "max= 1", " max=1", "max=1 "} {
		if of(text, tag) == nil {
			t.Errorf("%q is taken", tag)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[int](), reflect.TypeFor[[4]byte](), reflect.TypeFor[leaf](), reflect.TypeFor[*leaf](), reflect.TypeFor[bool]()} {
		if of(typ, "max=1") == nil {
			t.Errorf("%v has a largest length", typ)
		}
	}
	for _, typ := range []reflect.Type{text, reflect.TypeFor[*string](), reflect.TypeFor[[]byte](), reflect.TypeFor[[]leaf](), reflect.TypeFor[map[string]int]()} {
		for _, tag := range []string{"max=0", "max=2147483647"} {
			if err := of(typ, tag); err != nil {
				t.Errorf("%v, %s: %v", typ, tag, err)
			}
		}
	}
}

// Values that would not come back, or not be taken, are not sent.
func TestA29ValuesThatHaveNoEncoding(t *testing.T) {
	cycle := &everything{}
	cycle.Next = cycle
	loop := branches{}
	loop["x"] = loop
	deep := func(n int) tree {
		v := tree{}
		for range n - 1 {
			v = tree{v}
		}
		return v
	}
	nan := math.NaN()
	for _, c := range []struct {
		v    any
		path string
		text string
	}{
		{nan, "", "NaN"},
		{everything{Leaves: []leaf{{}, {F: float32(nan)}}}, "leaves[1].f", "NaN"},
		{everything{Price: &nan}, "price", "NaN"},
		{"\xff", "", "UTF-8"},
		{everything{Map: map[string]string{"a": "", "b\xed\xa0\x80": ""}}, "map[1]", "UTF-8"},
		{everything{Zulu: strings.Repeat("x", 101)}, "a", "longer than 100"},
		{everything{Texts: make([]string, 51)}, "texts", "longer than 50"},
		{everything{Bytes: make([]byte, 1001)}, "bytes", "longer than 1000"},
		{everything{Next: &everything{Name: new("01234567890")}}, "next.Name", "longer than 10"},
		{everything{Map: manyKeys(101)}, "map", "longer than 100"},
		{cycle, "next" + strings.Repeat(".next", 15), "deeper than 16"},
		{loop, strings.Repeat("[0]", 16), "deeper than 16"},
		{deep(17), strings.Repeat("[0]", 16), "deeper than 16"},
		{(*everything)(nil), "", "nil"},
		{make([]bool, 1<<20), "", ""},
		{make([][1000]int64, 1<<8), "", "memory"},
	} {
		b, err := shape(t, reflect.TypeOf(c.v)).Encode(addressable(c.v))
		e, ok := errors.AsType[*ValueError](err)
		if c.text == "" {
			if err != nil {
				t.Errorf("%T: %v", c.v, err)
			}
			continue
		}
		if !ok || b != nil || e.Path != c.path || !strings.Contains(e.Reason, c.text) {
			t.Errorf("%T: %v, want %s at %q", c.v, err, c.text, c.path)
		}
	}
	if b := encode(t, deep(16)); len(b) != 16 {
		t.Errorf("depth 16 is %x", b)
	}
	// In bytes: at the limit, past it, and far past it.
	for n, ok := range map[int]bool{16: true, 17: false, 2 << 20: false} {
		b := append(bytes.Repeat([]byte{0x91}, n-1), 0x90)
		if err := shape(t, reflect.TypeFor[tree]()).Decode(b, reflect.New(reflect.TypeFor[tree]()).Elem()); (err == nil) != ok {
			t.Errorf("depth %d: %v", n, err)
		}
	}
}

func manyKeys(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[string(rune('0'+i))] = ""
	}
	return m
}

// allocated is what f allocates, in bytes, at least: the rest of the program may
// allocate meanwhile.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// A28: the library allocates no more than was taken from the budget for it, in
// every kind of place, small and large.
func TestA28DecodingTakesWhatWasAllowedFor(t *testing.T) {
	type big struct {
		A [150]int64 `msgpack:"a,omitempty"`
		B string     `msgpack:"b,omitempty"`
	}
	text := func(n int) string { return strings.Repeat("x", n) }
	keyed := func(n, size int, each func(key string)) {
		for i := range n {
			each(text(size) + string(rune(0x10000+i)))
		}
	}
	var values []any
	for _, n := range []int{0, 1, 8, 9, 15, 100, 897, 1792, 3584} {
		bools, texts, bigs, lists := map[string]bool{}, map[string]string{}, map[string]big{}, map[string][]byte{}
		keyed(n, 1, func(k string) { bools[k] = true })
		keyed(n, 30, func(k string) { texts[k] = k })
		keyed(min(n, 300), 0, func(k string) { bigs[k] = big{} })
		keyed(n, 3, func(k string) { lists[k] = []byte{1} })
		pointers, growing := make([]*big, min(n, 300)), []string{}
		for i := range pointers {
			pointers[i] = &big{}
		}
		for size := 1; size < 40*n; size += size/8 + 1 {
			growing = append(growing, text(size))
		}
		values = append(values, bools, texts, bigs, lists, pointers, growing, text(n), text(100*n), []byte(text(100*n)),
			make([]int, n), make([]int, 10*n), make([]big, min(n, 300)), make([]string, 10*n), make([][]byte, n), make([]map[string]int, n),
			map[string][]*leaf{"a": make([]*leaf, n)})
		empties := make([]map[string]string, n)
		for i := range empties {
			empties[i] = map[string]string{}
		}
		values = append(values, empties)
	}
	values = append(values, text(4<<20), []string{"x", text(4 << 20)}, map[string]bool{text(4 << 20): true})
	for _, v := range values {
		s := shape(t, reflect.TypeOf(v))
		var b bytes.Buffer
		if err := s.write(&b, addressable(v)); err != nil {
			t.Fatal(err)
		}
		c := checker{r: strict.NewReader(b.Bytes()), left: math.MaxInt64}
		if err := c.value(s, noMax); err != nil {
			t.Fatal(err)
		}
		allowed := math.MaxInt64 - c.left
		into := reflect.New(s.typ).Elem()
		used := allocated(func() {
			into.SetZero()
			if err := read(b.Bytes(), into); err != nil {
				t.Fatal(err)
			}
			if err := s.write(&comparer{b.Bytes()}, into); err != nil {
				t.Fatal(err)
			}
		})
		if used > allowed+1<<14 { // decoder, encoder, and what the race detector adds
			t.Errorf("%v of %d bytes: %d allowed, %d used", s.typ, b.Len(), allowed, used)
		}
		if allowed > 4*used+1<<13 {
			t.Errorf("%v of %d bytes: %d allowed, only %d used", s.typ, b.Len(), allowed, used)
		}
	}
}

// A28: looking costs nothing, however much there is to look at.
func TestA28TheCheckAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, typ := range append(types, reflect.TypeFor[[]uint16](), reflect.TypeFor[[][2]int8](), reflect.TypeFor[[][3]byte]()) {
		s := shape(t, typ)
		for range 20 {
			v := reflect.New(typ).Elem()
			fill(r, v, 4)
			b, err := s.Encode(v)
			if err != nil {
				continue // nil for a pointer
			}
			if n := testing.AllocsPerRun(5, func() { s.check(b) }); n != 0 {
				t.Fatalf("%v: %v allocations for %x", typ, n, b)
			}
		}
	}
}

// A28: what takes too much is refused before anything is allocated for it.
func TestA28AmplificationIsRefusedFirst(t *testing.T) {
	type big struct {
		A [1024]int64 `msgpack:"a,omitempty"`
	}
	repeated := func(head, element string, n int) []byte {
		return append(unhex(t, head), bytes.Repeat(unhex(t, element), n)...)
	}
	for _, c := range []struct {
		into any
		b    []byte
	}{
		{[]big{}, repeated("dc0100", "80", 256)},
		{[]*big{}, repeated("dc0100", "80", 256)},
		{[]big{}, repeated("dd00100000", "80", 1<<20)},
		{[][]big{}, repeated("dc1000", "9180", 1<<12)},
		{[]struct{ M map[string]big }{}, repeated("dc1000", "81a14d81a080", 1<<12)},
		{[]map[string]bool{}, repeated("dd00100000", "80", 1<<20)},
		{[]string{}, repeated("dd00100000", "a0", 1<<20)},
	} {
		s, v := shape(t, reflect.TypeOf(c.into)), reflect.New(reflect.TypeOf(c.into)).Elem()
		var err error
		used := allocated(func() { err = s.Decode(c.b, v) })
		if e, ok := errors.AsType[*ValueError](err); !ok || !strings.Contains(e.Reason, "memory") || used > 1<<14 {
			t.Errorf("%T: %v, %d bytes used", c.into, err, used)
		}
	}
	if _, err := Of(reflect.TypeFor[[]big]()); err != nil {
		t.Fatal(err)
	}
	for _, head := range []string{"c6", "db", "dd", "df"} { // 4 GiB in five bytes
		for _, typ := range types {
			v := reflect.New(typ).Elem()
			if used := allocated(func() {
				if shape(t, typ).Decode(unhex(t, head+"ffffffff"), v) == nil {
					t.Errorf("%v: %s ffffffff is read", typ, head)
				}
			}); used > 1<<14 {
				t.Errorf("%v: %s ffffffff takes %d bytes", typ, head, used)
			}
		}
	}
}

// A28: bounds hold before anything is decoded, and do not wait for the comparison
// at the end.
func TestA28TheCheckAloneRefuses(t *testing.T) {
	type bounded struct {
		S string           `msgpack:"s,omitempty" hopseal:"max=1"`
		B []byte           `msgpack:"b,omitempty" hopseal:"max=1"`
		L []bool           `msgpack:"l,omitempty" hopseal:"max=1"`
		M map[string]int16 `msgpack:"m,omitempty" hopseal:"max=1"`
		A [2]byte          `msgpack:"a,omitempty"`
		P [2]int           `msgpack:"p,omitempty"`
		I int              `msgpack:"i,omitempty"`
		Z map[string]int   `msgpack:"z,omitempty" hopseal:"max=0"`
	}
	for text, ok := range map[string]bool{
		"81 a173 a178": true, "81 a173 a27878": false,
		"81 a162 c40100": true, "81 a162 c4020000": false,
		"81 a16c 91c2": true, "81 a16c 92c2c2": false,
		"81 a16d 81a000": true, "81 a16d 82a000a16100": false, "81 a16d 81a0 cd8000": false, "81 a16d 81a0 d18000": true,
		"81 a161 c4020001": true, "81 a161 c40100": false, "81 a161 c403000000": false,
		"81 a170 920001": true, "81 a170 9100": false, "81 a170 93000000": false,
		"81 a169 cf7fffffffffffffff": bits.UintSize == 64, "81 a169 cf8000000000000000": false,
		"81 a17a 80": true, "81 a17a 81a000": false,
	} {
		if err := shape(t, reflect.TypeFor[bounded]()).check(unhex(t, text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A28: sizes whose product or sum passes 64 bits are not small ones.
func TestA28SizesDoNotOverflow(t *testing.T) {
	for _, size := range []uintptr{1 << 30, ^uintptr(0) >> 1, ^uintptr(0) - 1<<12, ^uintptr(0)} {
		for _, n := range []int{1, 2, 1 << 30, math.MaxInt/2 + 1, math.MaxInt} {
			c := checker{left: 1<<30 - 1}
			if c.allocate(n, size) == nil || c.left != 1<<30-1 {
				t.Errorf("%d times %d is allowed", n, size)
			}
		}
	}
}

// A30: an encoding that was changed, cut or extended is refused, or is the one
// encoding of another value.
func TestA30EveryByteOfAnEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, typ := range types {
		s, v := shape(t, typ), reflect.New(typ).Elem()
		for v.IsZero() && typ != reflect.TypeFor[struct{}]() {
			fill(r, v, 2)
		}
		b, err := s.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if s.Decode(b[:n], reflect.New(typ).Elem()) == nil {
				t.Errorf("%v: the first %d of %x are read", typ, n, b)
			}
			for bit := range 8 {
				changed := bytes.Clone(b)
				changed[n] ^= 1 << bit
				holdsTo(t, s, changed)
			}
		}
		for extra := range 256 {
			if s.Decode(append(bytes.Clone(b), byte(extra)), reflect.New(typ).Elem()) == nil {
				t.Errorf("%v: %x is read with %02x behind it", typ, b, extra)
			}
			holdsTo(t, s, []byte{byte(extra)})
			holdsTo(t, s, []byte{byte(extra), 0x7f})
			holdsTo(t, s, []byte{byte(extra), 0xff})
		}
	}
}

// holdsTo decodes b, and if that works, encodes the value again.
func holdsTo(t *testing.T, s *Shape, b []byte) {
	t.Helper()
	v := reflect.New(s.typ).Elem()
	if s.Decode(b, v) != nil {
		return
	}
	if again, err := s.Encode(v); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%v: %x is read, and written as %x, %v", s.typ, b, again, err)
	}
}

// A30, the last check: an encoder that somebody gave the library for a type does
// not pass unseen, nor does a field that should have been left out.
func TestA30WhatDecodesOtherwiseIsRefused(t *testing.T) {
	type hijacked struct{ N int64 }
	msgpack.Register(hijacked{}, nil, func(d *msgpack.Decoder, v reflect.Value) error {
		v.SetZero()
		return d.Skip()
	})
	b := encode(t, hijacked{5})
	var got hijacked
	e, ok := errors.AsType[*ValueError](shape(t, reflect.TypeFor[hijacked]()).Decode(b, reflect.ValueOf(&got).Elem()))
	if !ok || e.Path != "N" || e.Reason != otherEncoding {
		t.Errorf("read as %+v, %v", got, e)
	}
	type swapped struct{ S string }
	msgpack.Register(swapped{}, nil, func(d *msgpack.Decoder, v reflect.Value) error {
		v.Field(0).SetString("evil")
		return d.Skip()
	})
	var other swapped
	e, ok = errors.AsType[*ValueError](shape(t, reflect.TypeFor[swapped]()).Decode(encode(t, swapped{"good"}), reflect.ValueOf(&other).Elem()))
	if !ok || e.Path != "S" || e.Reason != otherEncoding {
		t.Errorf("read as %+v, %v", other, e)
	}
	type failing struct{ N int64 }
	msgpack.Register(failing{}, nil, func(*msgpack.Decoder, reflect.Value) error { return errors.New("with secrets") })
	err := shape(t, reflect.TypeFor[failing]()).Decode(encode(t, failing{5}), reflect.New(reflect.TypeFor[failing]()).Elem())
	if e, ok = errors.AsType[*ValueError](err); !ok || e.Error() != "does not decode" {
		t.Errorf("the decoder fails: %v", err)
	}
	var l []leaf
	e, ok = errors.AsType[*ValueError](shape(t, reflect.TypeFor[[]leaf]()).Decode(unhex(t, "91 82 a142c2 a166ca00000000"), reflect.ValueOf(&l).Elem()))
	if !ok || e.Path != "[0]" || e.Reason != otherEncoding {
		t.Errorf("a zero in a field with omitempty: %+v, %v", l, e)
	}
}
