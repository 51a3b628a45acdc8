package typed

import (
	"cmp"
	"encoding"
	"reflect"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// A Shape is a Go type that can be encoded and decoded.
type Shape struct {
	typ    reflect.Type
	bytes  bool    // []byte or [N]byte
	elem   *Shape  // of a pointer, slice, array or map
	fields []field // of a struct, by ascending name
}

type field struct {
	name      string
	index     int
	omitEmpty bool
	max       int // largest length, or noMax
	*Shape
}

// shapes holds what Of has accepted, by reflect.Type.
var shapes sync.Map

// Of returns the Shape of a type, or a [*ValueError] that says what in the type cannot
// be encoded; its path is of Go names.
func Of(t reflect.Type) (*Shape, error) {
	if s, ok := shapes.Load(t); ok {
		return s.(*Shape), nil
	}
	s, err := seen{}.shape(t)
	if err != nil {
		return nil, err
	}
	shapes.Store(t, s)
	return s, nil
}

// seen holds the Shapes that are being made, for types that contain themselves.
type seen map[reflect.Type]*Shape

func (types seen) shape(t reflect.Type) (*Shape, error) {
	if s := types[t]; s != nil {
		return s, nil
	}
	if method := ownEncoding(t); method != "" {
		return nil, failed(t.String() + " encodes itself: it has " + method)
	}
	s := &Shape{typ: t}
	types[t] = s
	var err error
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	case reflect.Pointer:
		err = types.pointer(s)
	case reflect.Slice, reflect.Array:
		err = types.list(s)
	case reflect.Map:
		err = types.mapping(s)
	case reflect.Struct:
		err = types.structure(s)
	default: // what any of these holds is not in its type, or not data
		err = failed(t.String() + " has no encoding")
	}
	return s, err
}

// pointer refuses pointers to what may be nil itself: two values would share the
// encoding nil.
func (types seen) pointer(s *Shape) (err error) {
	switch to := s.typ.Elem(); to.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return failed(s.typ.String() + " points to what may be nil itself")
	default:
		s.elem, err = types.shape(to)
		return err
	}
}

func (types seen) list(s *Shape) (err error) {
	if to := s.typ.Elem(); to.Kind() == reflect.Uint8 {
		if s.bytes = to == reflect.TypeFor[byte](); !s.bytes {
			return failed(s.typ.String() + " is neither bytes nor a list: its elements must be byte, or wider")
		}
	}
	s.elem, err = types.shape(s.typ.Elem())
	return under("[]", err)
}

func (types seen) mapping(s *Shape) (err error) {
	key := s.typ.Key()
	if method := ownEncoding(key); method != "" || key.Kind() != reflect.String {
		return failed(s.typ.String() + " has keys that are not plain strings")
	}
	s.elem, err = types.shape(s.typ.Elem())
	return under("[]", err)
}

func (types seen) structure(s *Shape) error {
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		name, omitEmpty, err := parseName(f)
		if err != nil {
			return under(f.Name, err)
		}
		if name == "" {
			continue
		}
		shape, err := types.shape(f.Type)
		if err != nil {
			return under(f.Name, err)
		}
		most, err := parseMax(f)
		if err != nil {
			return under(f.Name, err)
		}
		s.fields = append(s.fields, field{name, i, omitEmpty, most, shape})
	}
	slices.SortFunc(s.fields, func(a, b field) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(s.fields); i++ {
		if s.fields[i].name == s.fields[i-1].name {
			return under(s.typ.Field(s.fields[i].index).Name, failed("another field has this name in the encoding"))
		}
	}
	return nil
}

// encoders are the interfaces that make the library leave a value to its methods:
// those of time.Time write an extension type, others whatever they like.
var encoders = []struct {
	method string
	typ    reflect.Type
}{
	{"EncodeMsgpack", reflect.TypeFor[msgpack.CustomEncoder]()},
	{"DecodeMsgpack", reflect.TypeFor[msgpack.CustomDecoder]()},
	{"MarshalMsgpack", reflect.TypeFor[msgpack.Marshaler]()},
	{"UnmarshalMsgpack", reflect.TypeFor[msgpack.Unmarshaler]()},
	{"MarshalBinary", reflect.TypeFor[encoding.BinaryMarshaler]()},
	{"UnmarshalBinary", reflect.TypeFor[encoding.BinaryUnmarshaler]()},
	{"MarshalText", reflect.TypeFor[encoding.TextMarshaler]()},
	{"UnmarshalText", reflect.TypeFor[encoding.TextUnmarshaler]()},
}

// ownEncoding returns a method by which t, or a pointer to it, encodes itself.
func ownEncoding(t reflect.Type) string {
	for _, e := range encoders {
		if t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(e.typ) || t.Implements(e.typ) {
			return e.method
		}
	}
	return ""
}
