package keystore

import (
	"fmt"

	"github.com/ccojocar/zxcvbn-go"
)

// minEntropy is how many bits a passphrase must have by zxcvbn's estimate. At the store's Argon2
// costs one core needs some seven thousand years for 2^40 guesses.
const minEntropy = 40

// estimated is how many bytes of a passphrase zxcvbn looks at: the time grows with the square of
// their number.
const estimated = 100

// A WeakPassphraseError says that a passphrase would be guessed too soon.
type WeakPassphraseError struct {
	Bits float64 // of entropy, as zxcvbn (Wheeler, USENIX Security 2016) estimates it, less for known phrases
}

// Error says what to do. It does not repeat the passphrase.
func (e *WeakPassphraseError) Error() string {
	return fmt.Sprintf("weak passphrase: about %.0f bits, want %d: choose five or more random words", e.Bits, minEntropy)
}

func checkPassphrase(p []byte) error {
	text := string(p[:min(len(p), estimated)])
	bits := entropy(text)
	if rest, pieces := withoutKnownPhrases(text); pieces > 0 {
		bits = min(bits, entropy(rest)+phraseBits*float64(pieces))
	}
	if len(p) == 0 || bits < minEntropy {
		return &WeakPassphraseError{bits}
	}
	return nil
}

func entropy(text string) float64 { return zxcvbn.PasswordStrength(text, nil).Entropy }
