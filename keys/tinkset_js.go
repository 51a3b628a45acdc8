//go:build js

package keys

import (
	"bytes"

	"github.com/hopseal/hopseal/internal/keyset"
)

// tinkset is a Tink keyset. In the browser it is read and written by
// internal/keyset, and its first key made from the standard library.
// It is behind a function so that printing a struct that holds it prints no key.
type tinkset struct{ set func() keyset.Keyset }

func generateTinkset(kind keyset.Type) (tinkset, error) {
	return wrap(keyset.Generate(kind))
}

func parseTinkset(b []byte) (tinkset, error) {
	return wrap(keyset.Parse(bytes.Clone(b))) // the keys are parts of what is parsed
}

func wrap(set keyset.Keyset, err error) (tinkset, error) { return newTinkset(set), err }

func newTinkset(set keyset.Keyset) tinkset {
	return tinkset{func() keyset.Keyset { return set }}
}

func (t tinkset) bytes() ([]byte, error)         { return t.set().Append(nil) }
func (t tinkset) keyset() (keyset.Keyset, error) { return t.set(), nil }
