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

func (t tinkset) add(kind keyset.Type) (tinkset, uint32, error) {
	set, id, err := t.set.Add(kind)
	return tinkset{set}, id, err
}

func (t tinkset) promote(id uint32) (tinkset, error) { return wrap(t.set.Promote(id)) }
func (t tinkset) disable(id uint32) (tinkset, error) { return wrap(t.set.Disable(id)) }
func (t tinkset) destroy(id uint32) (tinkset, error) { return wrap(t.set.Delete(id)) }

func wrap(set keyset.Keyset, err error) (tinkset, error) { return tinkset{set}, err }

func (t tinkset) bytes() ([]byte, error)         { return t.set.Append(nil) }
func (t tinkset) keyset() (keyset.Keyset, error) { return t.set, nil }
