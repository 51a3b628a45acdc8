//go:build !hopseal_npm

package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

type crate struct {
	Name  string  `msgpack:"name" hopseal:"max=8"`
	Price float64 `msgpack:"price"`
}

type shipment struct {
	ID     uint64            `msgpack:"id"`
	Count  int8              `msgpack:"count"`
	Crates []crate           `msgpack:"crates" hopseal:"max=3"`
	Index  map[string]uint16 `msgpack:"index" hopseal:"max=2"`
	Note   string            `msgpack:"note,omitempty"`
	Parent *crate            `msgpack:"parent"`
	Raw    []byte            `msgpack:"raw" hopseal:"max=4"`
	Tag    [4]byte           `msgpack:"tag"`
	Pair   [2]int            `msgpack:"pair"`
	Urgent bool              `msgpack:"urgent"`
	Weight float32           `msgpack:"weight"`
}

var aShipment = shipment{
	ID: 1 << 40, Count: -128, Crates: []crate{{"pears", 1.5}, {"", -0.25}}, Index: map[string]uint16{"b": 65535, "a": 0},
	Note: "fragile", Parent: &crate{"root", 3}, Raw: []byte{1, 2}, Tag: [4]byte{9}, Pair: [2]int{-1, 1}, Urgent: true, Weight: 2.5,
}

// shipmentHex are the fields of aShipment as they are encoded.
var shipmentHex = map[string]string{
	"id":     "cf0000010000000000",
	"count":  "d080",
	"crates": "92 82a46e616d65a57065617273a57072696365cb3ff8000000000000 82a46e616d65a0a57072696365cbbfd0000000000000",
	"index":  "82a16100a162cdffff",
	"note":   "a766726167696c65",
	"parent": "82a46e616d65a4726f6f74a57072696365cb4008000000000000",
	"raw":    "c4020102",
	"tag":    "c40409000000",
	"pair":   "92ff01",
	"urgent": "c3",
	"weight": "ca40200000",
}

// fields returns a map of the named values, in order, with some of them changed.
func fields(t testing.TB, of map[string]string, changes ...string) []byte {
	t.Helper()
	all := make(map[string]string)
	for name, value := range of {
		all[name] = value
	}
	for i := 0; i < len(changes); i += 2 {
		if all[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(all, changes[i])
		}
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	b := []byte{0x80 | byte(len(names))}
	for _, name := range names {
		b = append(strict.AppendStr(b, name), unspaced(t, all[name])...)
	}
	return b
}

func unspaced(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestValueRoundTrip(t *testing.T) {
	for _, l := range links(t) {
		sealed, err := SealValue(&l.Sealer, []byte("before"), aShipment)
		if err != nil {
			t.Fatal(err)
		}
		got, h, err := OpenValue[shipment](&l.Opener, sealed[len("before"):])
		if err != nil || !reflect.DeepEqual(got, aShipment) {
			t.Errorf("%s: %+v, %v", l.name, got, err)
		}
		if h.Context != "context" || h.ContentType != "text/plain" || string(sealed[:6]) != "before" {
			t.Errorf("%s: header %+v", l.name, h)
		}
		pointer, _, err := OpenValue[*shipment](&l.Opener, sealed[len("before"):])
		if err != nil || !reflect.DeepEqual(*pointer, aShipment) {
			t.Errorf("%s: %+v, %v", l.name, pointer, err)
		}
		plain, _, err := l.Open(nil, sealed[len("before"):])
		if want := fields(t, shipmentHex); err != nil || !bytes.Equal(plain, want) {
			t.Errorf("%s: sealed is\n%x, want\n%x", l.name, plain, want)
		}
	}
}

// A30: each of these is sealed by the expected sender, and is not the encoding of a
// shipment. The MessagePack library by itself takes most of them.
func TestA30HostileEncodingsInAuthenticMessages(t *testing.T) {
	of := func(changes ...string) []byte { return fields(t, shipmentHex, changes...) }
	crateOf := func(name, price string) string {
		return hex.EncodeToString(fields(t, map[string]string{"name": name, "price": price}))
	}
	const price = "cb3ff8000000000000"
	for _, c := range []struct {
		name string
		b    []byte
		path string
	}{
		{"nothing", nil, ""},
		{"nil", unspaced(t, "c0"), ""},
		{"an empty array for a struct", unspaced(t, "90"), ""},
		{"an array for a struct", append([]byte{0x91}, of()...), ""},
		{"text", unspaced(t, "a161"), ""},
		{"an empty map", unspaced(t, "80"), "count"},
		{"a trailing byte", append(of(), 0xc0), ""},
		{"the last byte missing", of()[:len(of())-1], ""},
		{"an extension type", of("id", "d6ff00000000"), ""},
		{"a reserved code", of("id", "c1"), ""},
		{"a duplicate field", append(append([]byte{0x80 | 12}, of()[1:]...), unspaced(t, "a6776569676874 ca40200000")...), ""},
		{"a first duplicate", append(append([]byte{0x80 | 12}, unspaced(t, "a5636f756e74 d080")...), of()[1:]...), ""},
		{"fields out of order", append(append([]byte{0x80 | 11}, of()[1+8:]...), of()[1:1+8]...), ""},
		{"an unknown field", of("unknown", "c0"), ""},
		{"an unknown field before all", of("a", "c0"), ""},
		{"an unknown field after all", of("zz", "c0"), ""},
		{"a field without a name", of("", "c0"), ""},
		{"a field's Go name", of("id", "", "ID", "01"), ""},
		{"a missing field", of("id", ""), "id"},
		{"the last field missing", of("weight", ""), "weight"},
		{"a missing pointer", of("parent", ""), "parent"},
		{"a zero that is left out otherwise", of("note", "a0"), ""},

		{"a long integer", of("id", "cd0005"), ""},
		{"an integer as 64 bits", of("id", "cf0000000000000005"), ""},
		{"a positive integer as a signed one", of("id", "d37fffffffffffffff"), ""},
		{"a negative integer for an unsigned one", of("id", "ff"), "id"},
		{"nil for an integer", of("id", "c0"), "id"},
		{"a float for an integer", of("id", price), "id"},
		{"a truth value for an integer", of("id", "c3"), "id"},
		{"text for an integer", of("id", "a131"), "id"},
		{"128 for int8", of("count", "cc80"), "count"},
		{"-129 for int8", of("count", "d1ff7f"), "count"},
		{"2^64-1 for int8", of("count", "cfffffffffffffffff"), "count"},
		{"65536 for uint16", of("index", "81a161ce00010000"), "index[0]"},
		{"-1 for uint16", of("index", "82a16100a162ff"), "index[1]"},
		{"2^63 for int", of("pair", "92 00 cf8000000000000000"), "pair[1]"},

		{"bytes for text", of("note", "c40161"), "note"},
		{"nil for text", of("note", "c0"), "note"},
		{"text that is not UTF-8", of("note", "a1ff"), ""},
		{"text for bytes", of("raw", "a161"), "raw"},
		{"an array for bytes", of("raw", "9101"), "raw"},
		{"bytes beyond max", of("raw", "c4050102030405"), "raw"},
		{"three of four bytes", of("tag", "c403010203"), "tag"},
		{"five of four bytes", of("tag", "c4050102030405"), "tag"},
		{"no bytes of four", of("tag", "c400"), "tag"},
		{"nil for four bytes", of("tag", "c0"), "tag"},
		{"text for four bytes", of("tag", "a461626364"), "tag"},
		{"an array for four bytes", of("tag", "9401020304"), "tag"},
		{"one of two elements", of("pair", "9101"), "pair"},
		{"three of two elements", of("pair", "93010101"), "pair"},
		{"nil for two elements", of("pair", "c0"), "pair"},
		{"a map for two elements", of("pair", "80"), "pair"},

		{"nil for a truth value", of("urgent", "c0"), "urgent"},
		{"an integer for a truth value", of("urgent", "01"), "urgent"},
		{"a float of 64 bits for one of 32", of("weight", price), "weight"},
		{"an integer for a float", of("weight", "01"), "weight"},
		{"nil for a float", of("weight", "c0"), "weight"},
		{"NaN", of("weight", "ca7fc00000"), "weight"},
		{"a signalling NaN", of("weight", "ca7f800001"), "weight"},
		{"a float of 32 bits for one of 64", of("parent", crateOf("a0", "ca40200000")), "parent.price"},
		{"NaN of 64 bits", of("parent", crateOf("a0", "cbfff8000000000001")), "parent.price"},

		{"a map for a list", of("crates", "80"), "crates"},
		{"bytes for a list", of("crates", "c400"), "crates"},
		{"text for a list", of("crates", "a0"), "crates"},
		{"nil for a struct", of("crates", "91c0"), "crates[0]"},
		{"an empty array for an inner struct", of("crates", "9190"), "crates[0]"},
		{"an array for an inner struct", of("crates", "9192a0"+price), "crates[0]"},
		{"too long inside", of("crates", "92"+crateOf("a0", price)+crateOf("a9616161616161616161", price)), "crates[1].name"},
		{"missing inside", of("crates", "9181a46e616d65a0"), "crates[0].price"},
		{"a duplicate inside", of("crates", "9183a46e616d65a0 a46e616d65a0 a57072696365"+price), ""},
		{"a list beyond max", of("crates", "94"+strings.Repeat(crateOf("a0", price), 4)), "crates"},
		{"an array for a map", of("index", "90"), "index"},
		{"a map beyond max", of("index", "83a16100a16200a16300"), "index"},
		{"duplicate keys", of("index", "82a16101a16102"), ""},
		{"keys out of order", of("index", "82a16201a16102"), ""},
		{"integers for keys", of("index", "820001 0102"), ""},
		{"bytes for keys", of("index", "81c4016101"), ""},
		{"nil for a key", of("index", "81c001"), ""},
		{"an array for a pointer", of("parent", "90"), "parent"},
		{"false for a pointer", of("parent", "c2"), "parent"},

		{"4 G elements in five bytes", unspaced(t, "ddffffffff"), ""},
		{"4 G entries in five bytes", unspaced(t, "dfffffffff"), ""},
		{"4 G crates", of("crates", "ddffffffff"), ""},
		{"4 GiB of bytes", of("raw", "c6ffffffff"), ""},
		{"4 GiB of text", of("weight", "dbffffffff"), ""},
		{"deep nesting", bytes.Repeat([]byte{0x91}, 1<<16), ""},
		{"deep nesting of maps", bytes.Repeat(unspaced(t, "81a26964"), 1<<12), ""},
	} {
		refusedValue[shipment](t, c.name, c.b, c.path)
	}
	for _, b := range [][]byte{of(), of("parent", "c0", "crates", "c0", "index", "c0", "raw", "c0"), of("note", ""), of("crates", "90", "index", "80", "raw", "c400")} {
		if _, _, err := opened[shipment](t, b); err != nil {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// opened seals bytes authentically and opens them as a value.
func opened[T any](t testing.TB, b []byte) (T, Header, error) {
	t.Helper()
	l := valueLink()
	return OpenValue[T](&l.Opener, seal(t, &l.Sealer, string(b)))
}

// valueLink returns a link whose keys are made once.
var valueLink = sync.OnceValue(func() *link {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		panic(err)
	}
	return &link{
		Sealer: Sealer{Shared: shared, Party: "a", ToParty: "b", Context: "values"},
		Opener: Opener{Shared: shared, Party: "b", FromParty: "a", Context: "values", InsecureAllowReplay: true},
	}
})

// refusedValue holds an authentic message that is no T to all that is promised: the
// type of the error, the path in it, the header, and nothing of the value.
func refusedValue[T any](t *testing.T, name string, b []byte, path string) {
	t.Helper()
	var none T
	v, h, err := opened[T](t, b)
	e, ok := errors.AsType[*ValueError](err)
	if !ok || errors.Is(err, ErrOpen) || ReasonOf(err) != 0 || !reflect.DeepEqual(v, none) || h.Party != "a" {
		t.Errorf("%s: %+v, %+v, %v", name, v, h, err)
		return
	}
	if e.Path != path || e.Reason == "" || !strings.Contains(e.Error(), e.Reason) || !strings.Contains(e.Error(), path) {
		t.Errorf("%s: %v, want path %q", name, e, path)
	}
}

// A28: an authentic message that asks for much more memory than it brings is
// refused before the memory is taken.
func TestA28AmplificationInAuthenticMessages(t *testing.T) {
	type wide struct {
		A [1024]int64 `msgpack:"a,omitempty"`
	}
	repeated := func(head, element string, n int) []byte {
		return append(unspaced(t, head), bytes.Repeat(unspaced(t, element), n)...)
	}
	maps := repeated("dd00100000", "80", 1<<20)
	refusedCheaply[[]wide](t, "empty maps into large structs", maps)
	refusedCheaply[[]*wide](t, "empty maps into pointers to large structs", maps)
	refusedCheaply[[]map[string]wide](t, "empty maps into maps", maps)
	refusedCheaply[[]struct{ M map[string]wide }](t, "a large struct in each of many maps", repeated("dc4000", "81a14d81a080", 1<<14))
	refusedCheaply[[][][]wide](t, "lists of lists", repeated("dc4000", "919180", 1<<14))
	refusedCheaply[[]string](t, "empty texts", repeated("dd00100000", "a0", 1<<20))
	refusedCheaply[[][]byte](t, "empty byte strings", repeated("dd00100000", "c400", 1<<20))
	if v, _, err := opened[[]wide](t, repeated("dc0020", "80", 32)); err != nil || len(v) != 32 {
		t.Errorf("within the constant: %v", err)
	}
}

func refusedCheaply[T any](t *testing.T, name string, b []byte) {
	t.Helper()
	l := valueLink()
	sealed := seal(t, &l.Sealer, string(b))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := OpenValue[T](&l.Opener, sealed)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*uint64(len(sealed))+1<<16 {
		t.Errorf("%s: %d bytes take %d", name, len(sealed), used)
	}
	if e, ok := errors.AsType[*ValueError](err); !ok || !strings.Contains(e.Reason, "memory") {
		t.Errorf("%s: %v", name, err)
	}
}

// A28: values of every size that open stay within 8 times their message.
func TestA28OpeningAllocatesInProportion(t *testing.T) {
	for _, n := range []int{0, 1, 100, 10000, 100000} {
		within(t, make([]float64, n))
		within(t, strings.Repeat("x", n))
		within(t, bytes.Repeat([]byte("x"), n))
		texts, entries, nested := make([]string, n), make(map[string]string), make([]crate, n)
		for i := range n {
			texts[i] = fmt.Sprint("text ", i)
			entries[fmt.Sprint("the key number ", i)] = strings.Repeat("value", 4)
			nested[i] = crate{"pears", 1.5}
		}
		within(t, texts)
		within(t, nested)
		within(t, entries)
	}
}

func within[T any](t *testing.T, v T) {
	t.Helper()
	l := valueLink()
	sealed, err := SealValue(&l.Sealer, nil, v)
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err = OpenValue[T](&l.Opener, sealed)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err != nil || used > 8*uint64(len(sealed))+1<<20+1<<16 {
		t.Errorf("%T: opening %d bytes took %d, %v", v, len(sealed), used, err)
	}
}

// A29: 16 levels open, 17 do not, whatever the type allows.
func TestA29DepthOfValues(t *testing.T) {
	type tree []tree
	type chain struct {
		Next *chain `msgpack:"n,omitempty"`
	}
	for n, ok := range map[int]bool{1: true, 16: true, 17: false, 1 << 20: false} {
		b := append(bytes.Repeat([]byte{0x91}, n-1), 0x90)
		if _, _, err := opened[tree](t, b); (err == nil) != ok {
			t.Errorf("lists, %d levels: %v", n, err)
		}
		b = append(bytes.Repeat(unspaced(t, "81a16e"), n-1), 0x80)
		if _, _, err := opened[chain](t, b); (err == nil) != ok {
			t.Errorf("structs, %d levels: %v", n, err)
		}
	}
	loop := &chain{}
	loop.Next = loop
	_, err := SealValue(&valueLink().Sealer, nil, loop)
	if e, ok := errors.AsType[*ValueError](err); !ok || !strings.Contains(e.Reason, "16") {
		t.Errorf("a value that contains itself: %v", err)
	}
}

// What cannot be sent is said by name, before anything is sealed.
func TestSealValueRefuses(t *testing.T) {
	s := &valueLink().Sealer
	for _, c := range []struct {
		v    shipment
		want string
	}{
		{shipment{Parent: &crate{Price: math.NaN()}}, "envelope: value: parent.price: not a number (NaN)"},
		{shipment{Crates: []crate{{}, {Name: "\xff"}}}, "envelope: value: crates[1].name: text that is not UTF-8"},
		{shipment{Crates: make([]crate, 4)}, "envelope: value: crates: longer than 3"},
		{shipment{Raw: make([]byte, 5)}, "envelope: value: raw: longer than 4"},
	} {
		b, err := SealValue(s, nil, c.v)
		if _, ok := errors.AsType[*ValueError](err); !ok || err.Error() != c.want || b != nil {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := SealValue[*shipment](s, nil, nil); err == nil {
		t.Error("nil is sealed for a pointer")
	}
	if _, err := SealValue(&Sealer{}, nil, aShipment); err == nil {
		t.Error("a Sealer without keys seals")
	}
}

type withTime struct {
	At []struct{ T time.Time }
}

// A type that has no encoding is the program's mistake: no ValueError, and no
// message is spent on it.
func TestTypeMisuse(t *testing.T) {
	l := links(t)[0]
	l.Replay, l.InsecureAllowReplay = anyTime(), false
	refuse := func(name string, err error, want string) {
		t.Helper()
		if _, ok := errors.AsType[*ValueError](err); err == nil || ok || errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	sealed := seal(t, &l.Sealer, "\x80")
	_, err := SealValue(&l.Sealer, nil, withTime{})
	refuse("sealing a time", err, "envelope.withTime cannot be sealed as a value: At[].T: time.Time encodes itself")
	_, _, err = OpenValue[withTime](&l.Opener, sealed)
	refuse("opening a time", err, "At[].T: time.Time")
	_, _, err = OpenValue[any](&l.Opener, sealed)
	refuse("opening anything", err, "interface {}")
	_, _, err = OpenValue[map[string]any](&l.Opener, sealed)
	refuse("opening a map of anything", err, "interface {}")
	_, _, err = OpenValue[struct {
		A string `hopseal:"max=many"`
	}](&l.Opener, sealed)
	refuse("a bad bound", err, "hopseal tag")
	if _, _, err := OpenValue[struct{}](&l.Opener, sealed); err != nil {
		t.Errorf("after misuse: %v", err)
	}
}

// A message whose value is refused has been opened: it does not open a second time,
// as another type either.
func TestRefusedValuesAreNotReplayed(t *testing.T) {
	l := links(t)[0]
	l.Replay, l.InsecureAllowReplay = anyTime(), false
	sealed := seal(t, &l.Sealer, "\xa4text")
	_, h, err := OpenValue[int](&l.Opener, sealed)
	if _, ok := errors.AsType[*ValueError](err); !ok || h.ID == (MessageID{}) {
		t.Fatalf("text for an integer: %v, %+v", err, h)
	}
	s, h, err := OpenValue[string](&l.Opener, sealed)
	if !errors.Is(err, ErrOpen) || ReasonOf(err) != ReasonReplay || s != "" || h != (Header{}) {
		t.Errorf("opened again: %q, %v (%v)", s, err, ReasonOf(err))
	}
}

// A37: what does not open looks the same for a value as for bytes.
func TestA37ValuesThatDoNotOpen(t *testing.T) {
	l := links(t)[0]
	sealed := seal(t, &l.Sealer, "\x01")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		v, h, err := OpenValue[int](&l.Opener, changed)
		if _, ok := errors.AsType[*ValueError](err); ok || !errors.Is(err, ErrOpen) || err.Error() != ErrOpen.Error() || v != 0 || h != (Header{}) {
			t.Fatalf("byte %d: %d, %v", i, v, err)
		}
	}
}

type ranged struct {
	Low, High int
	saw       int
}

var errRange = errors.New("low is above\n\x1b[31m high")

func (r *ranged) Validate() error {
	r.saw++
	if r.Low > r.High {
		return errRange
	}
	return nil
}

type even int

func (e even) Validate() error {
	if e%2 != 0 {
		return errors.New("odd")
	}
	return nil
}

// Validate is asked on both sides, through a pointer or not.
func TestValidate(t *testing.T) {
	s := &valueLink().Sealer
	bad := unspaced(t, "82a44869676801a34c6f7702")
	_, err := SealValue(s, nil, ranged{Low: 2, High: 1})
	_, errPointer := SealValue(s, nil, &ranged{Low: 2, High: 1})
	_, _, errOpened := opened[ranged](t, bad)
	_, _, errOpenedPointer := opened[*ranged](t, bad)
	for i, err := range []error{err, errPointer, errOpened, errOpenedPointer} {
		e, ok := errors.AsType[*ValueError](err)
		if !ok || !errors.Is(err, errRange) || errors.Is(err, ErrOpen) || e.Path != "" {
			t.Errorf("case %d: %v", i, err)
			continue
		}
		if want := `envelope: value: low is above\n\x1b[31m high`; err.Error() != want {
			t.Errorf("case %d: %q, want %q", i, err, want)
		}
	}
	if v, _, err := opened[ranged](t, unspaced(t, "82a44869676802a34c6f7702")); err != nil || v.saw != 1 || v.Low != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, _, err := opened[even](t, []byte{1}); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("a method of the value: %v", err)
	}
	if _, err := SealValue[*ranged](s, nil, nil); err == nil {
		t.Error("nil is asked")
	}
	if v, _, err := opened[even](t, []byte{2}); err != nil || v != 2 {
		t.Errorf("%v, %v", v, err)
	}
}

// A42, A47: no error holds a text of the message, whatever is wrong with it.
func TestA42ValueErrorsHoldNothingOfTheMessage(t *testing.T) {
	const marker = "planted"
	text := hex.EncodeToString(strict.AppendStr(nil, marker))
	for _, b := range [][]byte{
		fields(t, shipmentHex, marker, "c0"),
		fields(t, shipmentHex, "id", text),
		fields(t, shipmentHex, "note", text, "weight", "c0"),
		fields(t, shipmentHex, "index", "81"+text+"c0"),
		fields(t, shipmentHex, "index", "82"+text+"00"+text+"00"),
		fields(t, shipmentHex, "raw", text),
		strict.AppendStr(nil, marker),
		[]byte(marker),
	} {
		_, _, err := opened[shipment](t, b)
		if err == nil {
			t.Errorf("%q opens", b)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x", "%s"} {
			shown := fmt.Sprintf(verb, err)
			if strings.Contains(shown, marker) || strings.Contains(shown, hex.EncodeToString([]byte(marker))) {
				t.Errorf("%s of %q: %s", verb, b, shown)
			}
		}
	}
}

// fuzzed has one field of every kind.
type fuzzed struct {
	S      string              `msgpack:"s,omitempty" hopseal:"max=1000"`
	B      []byte              `msgpack:"b,omitempty"`
	A      [3]byte             `msgpack:"a,omitempty"`
	I      int8                `msgpack:"i,omitempty"`
	J      int64               `msgpack:"j,omitempty"`
	U      uint32              `msgpack:"u,omitempty"`
	F      float32             `msgpack:"f,omitempty"`
	D      float64             `msgpack:"d,omitempty"`
	T      bool                `msgpack:"t,omitempty"`
	L      []fuzzed            `msgpack:"l,omitempty"`
	P      *fuzzed             `msgpack:"p,omitempty"`
	M      map[string]fuzzed   `msgpack:"m,omitempty"`
	N      map[string][]string `msgpack:"n,omitempty"`
	W      [2][]*int           `msgpack:"w,omitempty"`
	Always *string
}

// FuzzOpenValue feeds the step after opening: no panic, memory in proportion, and
// what decodes is encoded as the same bytes.
func FuzzOpenValue(f *testing.F) {
	one := 1
	for _, v := range []fuzzed{
		{},
		{S: "text", B: []byte{}, A: [3]byte{1}, I: -128, J: math.MinInt64, U: math.MaxUint32, F: 1.5, D: -1.5, T: true},
		{L: []fuzzed{{}, {I: 1}}, P: &fuzzed{P: &fuzzed{}}, Always: new("x")},
		{M: map[string]fuzzed{"": {}, "a": {I: 1}}, N: map[string][]string{"n": {"", "m"}, "o": nil}, W: [2][]*int{{nil, &one}}},
	} {
		b, err := values.Encode(reflect.ValueOf(&v).Elem())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(fields(f, shipmentHex))
	for _, text := range []string{"", "c0", "80", "90", "dd ffffffff", "81 a14c dd ffffffff", "82a1490182a149", "d6ff00000000"} {
		f.Add(unspaced(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzAs[fuzzed](t, b)
		fuzzAs[[]*fuzzed](t, b)
		fuzzAs[map[string]string](t, b)
		fuzzAs[shipment](t, b)
	})
}

func fuzzAs[T any](t *testing.T, b []byte) {
	shape, err := values.Shape(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	var v T
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = values.Decode(shape, b, reflect.ValueOf(&v).Elem())
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 7*uint64(len(b))+1<<20+1<<16 {
		t.Fatalf("decoding %d bytes as %T took %d", len(b), v, used)
	}
	if err != nil {
		if _, ok := errors.AsType[*ValueError](err); !ok {
			t.Fatalf("%x: %v", b, err)
		}
		return
	}
	again, err := values.Encode(reflect.ValueOf(&v).Elem())
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%x is read as %+v, and written as %x, %v", b, v, again, err)
	}
}
