package typed

import (
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hopseal/hopseal/internal/strict"
)

// An encoder writes values in the accepted form: shortest integers, fields and
// keys in ascending order. It refuses what would not come to an end, or where only
// it can tell the place; a checker looks at the rest.
type encoder struct{ *msgpack.Encoder }

// value writes v, which is addressable and stands in depth containers.
func (e *encoder) value(s *Shape, v reflect.Value, depth int) error {
	kind := s.typ.Kind()
	switch kind {
	case reflect.Bool:
		return e.EncodeBool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return e.EncodeInt(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return e.EncodeUint(v.Uint())
	case reflect.Float32:
		return e.EncodeFloat32(float32(v.Float()))
	case reflect.Float64:
		return e.EncodeFloat64(v.Float())
	case reflect.String:
		return e.text(v.String())
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return e.EncodeNil()
		}
	}
	switch {
	case kind == reflect.Pointer:
		return e.value(s.elem, v.Elem(), depth)
	case s.bytes:
		return e.EncodeBytes(v.Bytes())
	case depth == strict.MaxDepth:
		return failed("nested deeper than " + strconv.Itoa(strict.MaxDepth))
	case kind == reflect.Struct:
		return e.structure(s, v, depth+1)
	case kind == reflect.Map:
		return e.mapping(s, v, depth+1)
	}
	return e.list(s, v, depth+1)
}

func (e *encoder) text(s string) error {
	if !utf8.ValidString(s) {
		return failed("text that is not UTF-8")
	}
	return e.EncodeString(s)
}

func (e *encoder) list(s *Shape, v reflect.Value, depth int) error {
	if err := e.EncodeArrayLen(v.Len()); err != nil {
		return err
	}
	for i := range v.Len() {
		if err := e.value(s.elem, v.Index(i), depth); err != nil {
			return under(entry(i), err)
		}
	}
	return nil
}

func (e *encoder) mapping(s *Shape, v reflect.Value, depth int) error {
	if err := e.EncodeMapLen(v.Len()); err != nil || v.Len() == 0 {
		return err
	}
	key, elem := reflect.New(s.typ.Key()).Elem(), reflect.New(s.typ.Elem()).Elem()
	for i, name := range sortedKeys(v, key) {
		if err := e.text(name); err != nil {
			return under(entry(i), err)
		}
		key.SetString(name)
		elem.Set(v.MapIndex(key)) // a copy, since what stands in a map has no address
		if err := e.value(s.elem, elem, depth); err != nil {
			return under(entry(i), err)
		}
	}
	return nil
}

func sortedKeys(v, key reflect.Value) []string {
	names := make([]string, 0, v.Len())
	for each := v.MapRange(); each.Next(); {
		key.SetIterKey(each)
		names = append(names, key.String())
	}
	slices.Sort(names)
	return names
}

func (e *encoder) structure(s *Shape, v reflect.Value, depth int) error {
	n := 0
	for _, f := range s.fields {
		if f.present(v) {
			n++
		}
	}
	if err := e.EncodeMapLen(n); err != nil {
		return err
	}
	for _, f := range s.fields {
		if !f.present(v) {
			continue
		}
		if err := e.EncodeString(f.name); err != nil {
			return err
		}
		if err := e.value(f.Shape, v.Field(f.index), depth); err != nil {
			return under(f.name, err)
		}
	}
	return nil
}

// present reports whether a field is written. Only a field with omitempty that has
// its zero value is not: then leaving it out loses nothing but the sign of -0. (The
// library would leave out an empty slice too, which is not a nil one.)
func (f *field) present(v reflect.Value) bool { return !f.omitEmpty || !v.Field(f.index).IsZero() }

// entry is the step to an element of a list, or to an entry of a map: the keys may
// be secret, so entries count in their order.
func entry(i int) string { return "[" + strconv.Itoa(i) + "]" }
