package keystore

import (
	"errors"
	"math/big"
	"testing"
)

func TestFamousPassphrasesAreWeak(t *testing.T) {
	for _, p := range []string{
		"To be, or not to be: that is the question",
		"it was the best of times, it was the worst of times",
		"Correct Horse Battery Staple!",
		"3.14159265358979323846264338327950288",
		"314159265358979323846264338327950288419716939937510582097",
		"2.718281828459045235360287471352",
		"May the Force be with you, always",
		"the quick brown fox jumps over the lazy dog 1",
		"In the beginning God created the heavens and the earth",
		"Never gonna give you up, never gonna let you down",
		"31415926535897932384 27182818284590452353",
	} {
		var weak *WeakPassphraseError
		if err := checkPassphrase([]byte(p)); !errors.As(err, &weak) || weak.Bits >= minEntropy {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{
		"upriver lagoon cassette mulberry trombone",
		"Upriver-Lagoon-Cassette-Mulberry-Trombone",
		"to be or not to be upriver lagoon cassette mulberry trombone",
		"q7#Vz!m2Lk9@xR4&tW",
	} {
		if err := checkPassphrase([]byte(p)); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// The digits of π in the list are those of Machin's formula.
func TestFamousDigits(t *testing.T) {
	one := new(big.Int).Exp(big.NewInt(10), big.NewInt(150), nil)
	arctan := func(x int64) *big.Int { // of 1/x, times one
		sum, term := new(big.Int), new(big.Int).Div(one, big.NewInt(x))
		for n := int64(1); term.Sign() != 0; n += 2 {
			part := new(big.Int).Div(term, big.NewInt(n))
			if n%4 == 3 {
				part.Neg(part)
			}
			sum.Add(sum, part)
			term.Div(term, big.NewInt(x*x))
		}
		return sum
	}
	pi := new(big.Int).Sub(new(big.Int).Mul(big.NewInt(16), arctan(5)), new(big.Int).Mul(big.NewInt(4), arctan(239)))
	if digits := pi.String()[:len(knownPhrases[0])]; digits != knownPhrases[0] {
		t.Errorf("%s, want %s", knownPhrases[0], digits)
	}
}
