package keys

import (
	"fmt"

	"github.com/hopseal/hopseal/internal/safetext"
)

// redacted is what every secret type prints as, whatever the verb (A42).
const redacted = "[redacted]"

func printRedacted(s fmt.State, kind string) { fmt.Fprintf(s, "%s%s", kind, redacted) }

// Format prints the name and the fingerprint, never a key, whatever the verb.
func (id *Identity) Format(s fmt.State, _ rune) {
	if id == nil || id.state.Load() == nil {
		printRedacted(s, "keys.Identity")
		return
	}
	fmt.Fprintf(s, "keys.Identity(%q %s %s)", id.Name(), id.Fingerprint(), redacted)
}

// MarshalJSON writes the same placeholder as Format, so that a logger that
// encodes its arguments cannot leak a key.
func (id *Identity) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// maxShownName is how much of a name is shown, in characters.
const maxShownName = 64

// String returns the name and the fingerprint: who this is, in one line. It quotes and escapes the
// name, since its owner chose it and it proves nothing.
func (p *PublicIdentity) String() string {
	switch {
	case p == nil:
		return "nobody"
	case p.Revoked():
		return safetext.Quote(p.name, maxShownName) + " " + p.fingerprint.String() + " (revoked)"
	}
	return safetext.Quote(p.name, maxShownName) + " " + p.fingerprint.String()
}

// Format prints a placeholder, whatever the verb.
func (s *SharedKeyset) Format(state fmt.State, _ rune) { printRedacted(state, "keys.SharedKeyset") }

// MarshalJSON writes a placeholder.
func (s *SharedKeyset) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Format prints a placeholder, whatever the verb.
func (k *SharedKey) Format(state fmt.State, _ rune) { printRedacted(state, "keys.SharedKey") }

// MarshalJSON writes a placeholder.
func (k *SharedKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
