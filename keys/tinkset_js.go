//go:build js

package keys

import "github.com/hopseal/hopseal/internal/keyset"

// tinkset is a Tink keyset. In the browser it is read and written by
// internal/keyset, and its first key made from the standard library.
type tinkset struct{ set keyset.Keyset }

func generateTinkset(kind keyset.Type) (tinkset, error) {
	set, err := keyset.Generate(kind)
	return tinkset{set}, err
}

func parseTinkset(b []byte) (tinkset, error) {
	set, err := keyset.Parse(b)
	return tinkset{set}, err
}

func (t tinkset) bytes() ([]byte, error)         { return t.set.Append(nil) }
func (t tinkset) keyset() (keyset.Keyset, error) { return t.set, nil }
