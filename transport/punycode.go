//go:build !js

package transport

import "golang.org/x/net/idna"

// punycode returns the ASCII form of an internationalized name (RFC 5891), by the
// rules for names that are looked up. A name that is ASCII already stays as it is:
// those rules do not allow the underscores that some have.
func punycode(name string) (string, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return idna.Lookup.ToASCII(name)
		}
	}
	return name, nil
}
