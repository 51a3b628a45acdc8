package ring

import (
	"crypto/hmac"
	"slices"

	"github.com/hopseal/hopseal/internal/keyset"
)

// Paired reports whether the keys of two rings go together one by one, in the same stages since the
// same times.
func Paired(a, b Ring) bool {
	return slices.EqualFunc(a.Lives, b.Lives, func(l, m Life) bool {
		l.ID, m.ID = 0, 0
		return l == m
	})
}

// CommonKey returns the id of a key of a that is a key of b too, 0 for none. It is for keysets with
// different purposes: a key that serves two is safe for neither.
func CommonKey(a, b keyset.Keyset) uint32 {
	for _, key := range a.Keys {
		if slices.ContainsFunc(b.Keys, func(k keyset.Key) bool { return hmac.Equal(k.Secret, key.Secret) }) {
			return key.ID
		}
	}
	return 0
}
