package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"testing"
)

// AES-GCM does not commit to its key: what follows makes a ciphertext that two
// keys open, to two contents of the attacker's choice (Dodis, Grubbs, Ristenpart,
// Woodage, "Fast Message Franking", CRYPTO 2018, section 3).

// Under the one key the content fills the padded plaintext, under the other it ends
// somewhere and zeros follow.
const (
	twiceTotal = 4096
	twiceFull  = twiceTotal - 4
	twiceFree  = 1 // the block that makes the tags equal
	topBit     = 1 << 31
)

// openTwice returns nonce ‖ ciphertext ‖ tag that both keys open.
func openTwice(one, two, aad []byte) []byte {
	a, b := made(aes.NewCipher(one)), made(aes.NewCipher(two))
	nonce, lengthA, lengthB := findNonce(a, b)
	end := 4 + int(lengthB&^topBit)
	c := keystream(a, nonce)
	for i, x := range paddedTo(lengthA, bytes.Repeat([]byte("a"), twiceFull), twiceTotal) {
		c[i] ^= x
	}
	copy(c[end:], keystream(b, nonce)[end:]) // zeros under b
	// A tag is linear in every block of the ciphertext. Solve for one block.
	clear(c[16*twiceFree:][:16])
	tagA, hA := gcmTag(a, nonce, aad, c)
	tagB, hB := gcmTag(b, nonce, aad, c)
	behind := twiceTotal/16 - twiceFree + 1 // blocks from there to the end, the lengths included
	block := tagA.plus(tagB).times(hA.power(behind).plus(hB.power(behind)).inverse())
	block.put(c[16*twiceFree:])
	tagA, _ = gcmTag(a, nonce, aad, c)
	tagA.put(c[twiceTotal : twiceTotal+16])
	return append(nonce, c[:twiceTotal+16]...)
}

// findNonce returns a nonce under which the same four bytes decrypt to a length
// under both keys: one in half a million.
func findNonce(a, b cipher.Block) (nonce []byte, lengthA, lengthB uint32) {
	nonce = random(12)
	var blockA, blockB [16]byte
	counter := counterBlock(nonce, 2)
	for try := uint32(0); ; try++ {
		binary.BigEndian.PutUint32(counter, try)
		a.Encrypt(blockA[:], counter)
		b.Encrypt(blockB[:], counter)
		differ := binary.BigEndian.Uint32(blockA[:]) ^ binary.BigEndian.Uint32(blockB[:])
		if n := (differ ^ twiceFull) &^ topBit; n >= 28 && n <= twiceFull {
			copy(nonce, counter)
			return nonce, differ ^ (n | topBit), n | topBit
		}
	}
}

func counterBlock(nonce []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(nonce), n)
}

// keystream is the one of a plaintext of twiceTotal bytes, with room for a tag.
func keystream(c cipher.Block, nonce []byte) []byte {
	b := make([]byte, twiceTotal, twiceTotal+16)
	cipher.NewCTR(c, counterBlock(nonce, 2)).XORKeyStream(b, b)
	return b
}

// gcmTag is GCM's tag, and the key of its hash (NIST SP 800-38D, section 7.1).
func gcmTag(c cipher.Block, nonce, aad, ciphertext []byte) (tag, h element) {
	mask := make([]byte, 16)
	c.Encrypt(mask, mask)
	h = elementOf(mask)
	for _, part := range [][]byte{aad, ciphertext, lengthBits(aad, ciphertext)} {
		for len(part) > 0 {
			var block [16]byte
			part = part[copy(block[:], part):]
			tag = tag.plus(elementOf(block[:])).times(h)
		}
	}
	c.Encrypt(mask, counterBlock(nonce, 1))
	return tag.plus(elementOf(mask)), h
}

func lengthBits(aad, ciphertext []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, 8*uint64(len(aad)))
	return binary.BigEndian.AppendUint64(b, 8*uint64(len(ciphertext)))
}

// An element is one of GF(2^128) as GCM writes it, the first bit being the
// coefficient of 1.
type element struct{ high, low uint64 }

func elementOf(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (e element) put(b []byte) {
	binary.BigEndian.PutUint64(b, e.high)
	binary.BigEndian.PutUint64(b[8:], e.low)
}

func (e element) plus(f element) element { return element{e.high ^ f.high, e.low ^ f.low} }

func (e element) times(f element) (product element) {
	for i := range 128 {
		word := e.high
		if i >= 64 {
			word = e.low
		}
		if word>>(63-i%64)&1 == 1 {
			product = product.plus(f)
		}
		carry := f.low & 1
		f = element{f.high>>1 ^ carry*(0xe1<<56), f.low>>1 | f.high<<63}
	}
	return product
}

func (e element) power(n int) element {
	out := element{high: 1 << 63}
	for range n {
		out = out.times(e)
	}
	return out
}

// inverse is the power of 2^128 − 2.
func (e element) inverse() element {
	out := element{high: 1 << 63}
	for range 127 {
		e = e.times(e)
		out = out.times(e)
	}
	return out
}

// A21: the body of the vector really opens under two keys, to two paddings as they
// should be. Only the commitment tells the keys apart.
func TestA21ABodyOpensUnderTwoKeys(t *testing.T) {
	one, two, aad := random(32), random(32), []byte("header")
	body := openTwice(one, two, aad)
	var contents [][]byte
	for _, key := range [][]byte{one, two} {
		padded, err := made(cipher.NewGCM(made(aes.NewCipher(key)))).Open(nil, body[:12], body[12:], aad)
		if err != nil {
			t.Fatal(err)
		}
		n := int(binary.BigEndian.Uint32(padded) &^ topBit)
		if 4+n > len(padded) || len(bytes.Trim(padded[4+n:], "\x00")) != 0 {
			t.Fatalf("%d bytes of content in %d, padding is wrong", n, len(padded))
		}
		contents = append(contents, padded[4:][:n])
	}
	if bytes.Equal(contents[0], contents[1]) {
		t.Error("the contents are the same")
	}
}
