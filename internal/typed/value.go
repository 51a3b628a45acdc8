package typed

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A ValueError says what is wrong with a value: one that cannot be sent or sealed, or one
// in a message that has come. Its texts name the fields and types of the program and hold
// nothing of the message's own.
type ValueError struct {
	// Path leads to what is wrong, such as "orders[3].price", by the names in the
	// encoding. It is "" for the whole value. Entries of a map count in the order of
	// their keys, which may be secret.
	Path   string
	Reason string // for people

	prefix string // of the text, names the package that the program has called
	err    error
}

func (e *ValueError) Error() string {
	if e.Path == "" {
		return e.prefix + e.Reason
	}
	return e.prefix + e.Path + ": " + e.Reason
}

// Unwrap returns the error of the type's Validate method, if that is what refused
// the value.
func (e *ValueError) Unwrap() error { return e.err }

func failed(reason string) error { return &ValueError{Reason: reason} }

// under puts a step before the path of an error on its way up.
func under(step string, err error) error {
	e, ok := errors.AsType[*ValueError](err)
	if !ok {
		return err
	}
	if e.Path != "" && e.Path[0] != '[' {
		step += "."
	}
	e.Path = step + e.Path
	return e
}

// Texts are how a package that takes values words its errors.
type Texts struct {
	Value   string // begins each ValueError, such as "e2e: value: "
	NoShape string // formats a type that has no encoding, and why
}

// Shape is [Of] with the package's text. That a type has no encoding is the program's
// mistake, and no ValueError.
func (x Texts) Shape(t reflect.Type) (*Shape, error) {
	shape, err := Of(t)
	if err != nil {
		return nil, fmt.Errorf(x.NoShape, t, err.Error())
	}
	return shape, nil
}

// Encode returns the encoding of v, which is addressable, once its Validate has accepted it.
func (x Texts) Encode(v reflect.Value) ([]byte, error) {
	shape, err := x.Shape(v.Type())
	if err != nil {
		return nil, err
	}
	if err := x.validated(v); err != nil {
		return nil, err
	}
	b, err := shape.Encode(v)
	if err != nil {
		return nil, x.worded(err)
	}
	return b, nil
}

// Decode reads b into v as [Shape.Decode] does, and has its Validate accept it.
func (x Texts) Decode(shape *Shape, b []byte, v reflect.Value) error {
	if err := shape.Decode(b, v); err != nil {
		return x.worded(err)
	}
	return x.validated(v)
}

// Failed returns a ValueError about the whole value.
func (x Texts) Failed(reason string) error { return &ValueError{Reason: reason, prefix: x.Value} }

// worded makes any error of a Shape one of the package's.
func (x Texts) worded(err error) error {
	e, ok := errors.AsType[*ValueError](err)
	if !ok {
		e = &ValueError{Reason: err.Error()}
	}
	e.prefix = x.Value
	return e
}

// maxReason is how much of an error of Validate is shown, in characters.
const maxReason = 200

func (x Texts) validated(v reflect.Value) error {
	if err := validate(v); err != nil {
		return &ValueError{Reason: safetext.Line(err.Error(), maxReason), prefix: x.Value, err: err}
	}
	return nil
}

// validate calls the method Validate() error of what v, which is addressable, holds or
// points to, if it has one.
func validate(v reflect.Value) error {
	if v.Kind() != reflect.Pointer {
		v = v.Addr()
	}
	checked, ok := v.Interface().(interface{ Validate() error })
	if !ok || v.IsNil() {
		return nil
	}
	return checked.Validate()
}
