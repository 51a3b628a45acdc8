//go:build js

package ring

import (
	"bytes"
	"errors"

	"github.com/hopseal/hopseal/internal/keyset"
)

// Set is a Tink keyset. In a browser internal/keyset reads and writes it, and makes its first key
// with the standard library. A function holds it, so that a struct with a Set prints no key.
type Set struct{ set func() keyset.Keyset }

// GenerateSet makes a keyset with one key.
func GenerateSet(kind keyset.Type) (Set, error) { return hide(keyset.Generate(kind)) }

// ParseSet reads what Bytes returned.
func ParseSet(b []byte) (Set, error) {
	return hide(keyset.Parse(bytes.Clone(b))) // the parsed keys are parts of these bytes
}

func hide(set keyset.Keyset, err error) (Set, error) {
	return Set{func() keyset.Keyset { return set }}, err
}

// Bytes writes the keyset as Tink does, with its secrets.
func (t Set) Bytes() ([]byte, error) { return t.set().Append(nil) }

// Keyset returns the key bytes.
func (t Set) Keyset() (keyset.Keyset, error) { return t.set(), nil }

// Browsers have no key stores, and so take no steps.

func (t Set) Add(keyset.Type) (Set, uint32, error) { return Set{}, 0, errors.ErrUnsupported }
func (t Set) Promote(uint32) (Set, error)          { return Set{}, errors.ErrUnsupported }
func (t Set) Disable(uint32) (Set, error)          { return Set{}, errors.ErrUnsupported }
func (t Set) Destroy(uint32) (Set, error)          { return Set{}, errors.ErrUnsupported }
