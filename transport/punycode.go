//go:build !js

package transport

import "golang.org/x/net/idna"

// punycode returns the ASCII form of an internationalized name (RFC 5891), by the rules for
// look-ups. It leaves a name in ASCII as it is, because those rules forbid underscores, which some
// names have.
func punycode(name string) (string, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return idna.Lookup.ToASCII(name)
		}
	}
	return name, nil
}
