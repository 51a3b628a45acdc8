package trust

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// SafetyNumber returns what two people compare in place of two fingerprints: sixty digits in twelve
// groups of five, the same on both sides. Each group is five bytes of a hash, modulo 100,000. The
// hash is SHA-512 over a label and both fingerprints, the smaller first.
func SafetyNumber(a, b keys.Fingerprint) string {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	sum := sha512.Sum512(label.SafetyNumber.With(a[:], b[:]))
	groups := make([]string, 12)
	for i := range groups {
		var n uint64
		for _, c := range sum[5*i:][:5] {
			n = n<<8 | uint64(c)
		}
		groups[i] = fmt.Sprintf("%05d", n%100_000)
	}
	return strings.Join(groups, " ")
}

// Errors of [ScanSafetyCode].
var (
	ErrSafetyCode     = errors.New("keys: not a Hopseal safety code")
	ErrSafetyMismatch = errors.New("keys: the safety codes differ: somebody may be in the middle")
)

const safetyScheme = "hopseal:compare/1/"

// SafetyCode returns what a device shows as a QR code for the other device to scan, 130 characters:
// its own fingerprint, and the one that it has for the peer.
func SafetyCode(own, peer keys.Fingerprint) string {
	return safetyScheme + own.String() + "/" + peer.String()
}

// ScanSafetyCode compares the code that the peer's device shows with the two fingerprints that this
// device has. It returns nil if they agree, [ErrSafetyMismatch] if not, and [ErrSafetyCode] for text
// that is not such a code.
func ScanSafetyCode(code string, own, peer keys.Fingerprint) error {
	rest, ok := strings.CutPrefix(code, safetyScheme)
	theirs, ours, split := strings.Cut(rest, "/")
	shown, err := keys.ParseFingerprint(theirs)
	expected, err2 := keys.ParseFingerprint(ours)
	switch {
	case !ok || !split || err != nil || err2 != nil || strings.Contains(code, " "):
		return ErrSafetyCode
	case shown != peer || expected != own:
		return ErrSafetyMismatch
	}
	return nil
}
