package envelope

import (
	"crypto/ed25519"
	"crypto/sha512"
	"math/big"
	"slices"
)

// What only Ed25519 arithmetic makes: signatures and keys at the edges of what a reader
// takes. Affine points of edwards25519 (RFC 8032, section 5.1), slow and not for secrets.

type edwards struct{ x, y *big.Int }

var (
	edP     = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	edOrder = bigOf("27742317777372353535851937790883648493", 252)
	edD     = edDivide(big.NewInt(-121665), big.NewInt(121666))
	edBase  = decodedEdwards(point("5866666666666666666666666666666666666666666666666666666666666666"))
	// edEighth is of order 8.
	edEighth = decodedEdwards(point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
)

// bigOf is a number and a power of two.
func bigOf(text string, power uint) *big.Int {
	n, _ := new(big.Int).SetString(text, 10)
	return n.Add(n, new(big.Int).Lsh(big.NewInt(1), power))
}

func edMod(n *big.Int) *big.Int { return n.Mod(n, edP) }

func edDivide(a, b *big.Int) *big.Int {
	return edMod(new(big.Int).Mul(a, new(big.Int).ModInverse(edMod(new(big.Int).Set(b)), edP)))
}

// decodedEdwards takes a point that is one, section 5.1.3.
func decodedEdwards(b []byte) edwards {
	y := littleEndian(b)
	sign := y.Bit(255)
	y.SetBit(y, 255, 0)
	y2 := edMod(new(big.Int).Mul(y, y))
	x2 := edDivide(new(big.Int).Sub(y2, big.NewInt(1)), new(big.Int).Add(new(big.Int).Mul(edD, y2), big.NewInt(1)))
	x := x2.ModSqrt(x2, edP)
	if x.Bit(0) != sign {
		x.Sub(edP, x)
	}
	return edwards{x, y}
}

func (p edwards) encoded() []byte {
	b := toLittleEndian(p.y)
	b[31] |= byte(p.x.Bit(0)) << 7
	return b
}

func (p edwards) add(q edwards) edwards {
	xx, yy := new(big.Int).Mul(p.x, q.x), new(big.Int).Mul(p.y, q.y)
	t := edMod(new(big.Int).Mul(edD, edMod(new(big.Int).Mul(xx, yy))))
	x := new(big.Int).Add(new(big.Int).Mul(p.x, q.y), new(big.Int).Mul(p.y, q.x))
	one := big.NewInt(1)
	return edwards{edDivide(x, new(big.Int).Add(one, t)), edDivide(new(big.Int).Add(yy, xx), new(big.Int).Sub(one, t))}
}

func (p edwards) times(n *big.Int) edwards {
	sum := edwards{big.NewInt(0), big.NewInt(1)}
	for i := n.BitLen() - 1; i >= 0; i-- {
		if sum = sum.add(sum); n.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func toLittleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

// secretScalar is what a key multiplies with, section 5.1.5.
func secretScalar(k ed25519.PrivateKey) *big.Int {
	h := sha512.Sum512(k.Seed())
	h[0] &= 248
	h[31] = h[31]&127 | 64
	return littleEndian(h[:32])
}

// challenge is k of section 5.1.7.
func challenge(r, public, message []byte) *big.Int {
	h := sha512.Sum512(slices.Concat(r, public, message))
	return new(big.Int).Mod(littleEndian(h[:]), edOrder)
}

// signedWith signs with a nonce and an R of the caller's, whether or not they fit.
func signedWith(key ed25519.PrivateKey, public, message, r []byte, nonce *big.Int) []byte {
	s := new(big.Int).Mul(challenge(r, public, message), secretScalar(key))
	return append(slices.Clone(r), toLittleEndian(s.Mod(s.Add(s, nonce), edOrder))...)
}

// mixedOrder is a public key of which a part is of small order.
func mixedOrder(key ed25519.PrivateKey) []byte {
	return decodedEdwards(publicOf(key)).add(edEighth).encoded()
}

// signMixed signs for a key of mixed order: with a nonce by which the part of small order
// falls out, or one by which it does not.
func signMixed(key ed25519.PrivateKey, message []byte, verifies bool) []byte {
	public := mixedOrder(key)
	for nonce := int64(1); ; nonce++ {
		r := edBase.times(big.NewInt(nonce)).encoded()
		k := challenge(r, public, message)
		if (k.Bit(0)|k.Bit(1)|k.Bit(2) == 0) == verifies {
			return signedWith(key, public, message, r, big.NewInt(nonce))
		}
	}
}
