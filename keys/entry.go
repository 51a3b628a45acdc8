package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/hopseal/hopseal/internal/xwing"
)

// Sizes in bytes of the key types in use.
const (
	ed25519PublicSize = ed25519.PublicKeySize
	xwingPublicSize   = xwing.PublicSize
)

var errWeakKey = errors.New("keys: public key is not acceptable")

// fieldPrime is 2^255-19, little-endian, the prime of both curves.
var fieldPrime = append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)

// smallOrderY holds the y coordinates of the eight Ed25519 points of small order, little-endian, for
// the orders 4, 1, 2, 8 and 8. The sign of x tells apart points with the same y. Two signs for each y
// make ten encodings. Two of these, with x = 0 and its sign set, encode no point, but crypto/ed25519
// takes them for one. Under the identity point as public key one signature verifies every message,
// and crypto/ed25519 and Tink accept that key (A08).
var smallOrderY = points(
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)

// smallOrderU holds the u coordinates of the X25519 points of small order. With any of them every
// private key yields the same secret (RFC 7748, section 6.1).
var smallOrderU = points(
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)

func points(texts ...string) [][]byte {
	out := make([][]byte, len(texts))
	for i, s := range texts {
		out[i], _ = hex.DecodeString(s)
	}
	return out
}

// checkCoordinate refuses the listed coordinates, and a coordinate that is not reduced modulo the
// prime: its point would have several encodings. The top bit is not part of the coordinate.
func checkCoordinate(b []byte, refused [][]byte) error {
	c := slices.Clone(b)
	c[31] &= 0x7f
	for _, r := range refused {
		if bytes.Equal(c, r) {
			return errWeakKey
		}
	}
	slices.Reverse(c)
	prime := slices.Clone(fieldPrime)
	slices.Reverse(prime)
	if bytes.Compare(c, prime) >= 0 {
		return errWeakKey
	}
	return nil
}

// checkEd25519 refuses a key of the wrong size, of small order or in a non-canonical encoding. A
// point off the curve verifies nothing and does no harm.
func checkEd25519(public []byte) error {
	if len(public) != ed25519PublicSize {
		return errWeakKey
	}
	return checkCoordinate(public, smallOrderY)
}

// checkXWing checks an X-Wing public key, including the ML-KEM modulus (FIPS 203, section 7.2). It
// refuses an X25519 part of small order.
func checkXWing(public []byte) error {
	if len(public) != xwingPublicSize || public[xwingPublicSize-1]&0x80 != 0 {
		return errWeakKey
	}
	if err := checkCoordinate(public[1184:], smallOrderU); err != nil {
		return err
	}
	if _, err := xwing.NewPublicKey(public); err != nil {
		return errWeakKey
	}
	return nil
}
