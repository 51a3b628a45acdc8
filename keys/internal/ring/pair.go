package ring

import (
	"crypto/hmac"
	"slices"

	"github.com/hopseal/hopseal/internal/keyset"
)

// Paired reports whether the keys of two rings match one by one: they are in the same stages, and
// have been since the same times.
func Paired(a, b Ring) bool {
	return slices.EqualFunc(a.Lives, b.Lives, func(l, m Life) bool {
		l.ID, m.ID = 0, 0
		return l == m
	})
}

// CommonKey returns the id of a key of a that b holds too, 0 for none. The two keysets have different
// purposes: a key that serves two is safe for neither.
func CommonKey(a, b keyset.Keyset) uint32 {
	for _, key := range a.Keys {
		if slices.ContainsFunc(b.Keys, func(k keyset.Key) bool { return hmac.Equal(k.Secret, key.Secret) }) {
			return key.ID
		}
	}
	return 0
}
