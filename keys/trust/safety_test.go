package trust

import (
	"errors"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

func TestSafetyNumber(t *testing.T) {
	a, b := testIdentity(t, "a").Fingerprint(), testIdentity(t, "b").Fingerprint()
	number := SafetyNumber(a, b)
	if number != SafetyNumber(b, a) {
		t.Error("the two sides see different numbers")
	}
	if groups := strings.Fields(number); len(groups) != 12 || len(number) != 71 || strings.Trim(number, "0123456789 ") != "" {
		t.Errorf("%q", number)
	}
	for bit := range 256 {
		for _, f := range []*keys.Fingerprint{&a, &b} {
			f[bit/8] ^= 1 << (bit % 8)
			if SafetyNumber(a, b) == number {
				t.Errorf("bit %d does not count", bit)
			}
			f[bit/8] ^= 1 << (bit % 8)
		}
	}
	// Known answer, from the definition: SHA-512 of the label and 64 zero bytes.
	if got, want := SafetyNumber(keys.Fingerprint{}, keys.Fingerprint{}), "28296 90014 69215 92722 87194 66367 60914 15190 31379 97978 99311 77321"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSafetyCode(t *testing.T) {
	a, b, eve := testIdentity(t, "a").Fingerprint(), testIdentity(t, "b").Fingerprint(), testIdentity(t, "eve").Fingerprint()
	shown := SafetyCode(a, b)
	if err := ScanSafetyCode(shown, b, a); err != nil {
		t.Error(err)
	}
	for name, code := range map[string]string{
		"the other sees somebody else": SafetyCode(a, eve), "somebody else shows it": SafetyCode(eve, b), "one's own code": SafetyCode(b, a),
	} {
		if err := ScanSafetyCode(code, b, a); !errors.Is(err, ErrSafetyMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, code := range []string{"", "https://example.com", shown[:len(shown)-1], shown + "x", strings.Replace(shown, "/1/", "/2/", 1), shown + " "} {
		if err := ScanSafetyCode(code, b, a); !errors.Is(err, ErrSafetyCode) {
			t.Errorf("%q: %v", code, err)
		}
	}
}
