package keyio

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// TinkFormat is one of the two forms in which Tink writes a keyset.
type TinkFormat byte

const (
	TinkBinary TinkFormat = iota + 1 // protobuf
	TinkJSON                         // protobuf as JSON
)

// A TinkKeyset is a keyset on its way between Hopseal and a program that uses Tink itself. It holds
// Ed25519 keys, X-Wing keys for HPKE, XAES-256-GCM or AES-256-GCM keys, or HMAC keys. It prints as a
// placeholder.
//
//   - Out: [ExportIdentity] and [ExportSharedKeyset] return it, and its methods write it.
//   - In: [ReadTinkKeyset] reads it, and [ImportIdentity] and [ImportSharedKeyset] make keys of it.
//
// Both ends use the same keys. Tink puts its prefix of five bytes before signatures and ciphertexts;
// none of Hopseal's formats has that prefix.
type TinkKeyset struct {
	kind   keyset.Type
	handle *tinkkeyset.Handle
}

// tinkKeyset makes a TinkKeyset of a keyset that package keys keeps, or that was read and checked.
func tinkKeyset(kind keyset.Type, set []byte) (*TinkKeyset, error) {
	handle, err := insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(set)))
	if err != nil {
		return nil, fmt.Errorf("keys: Tink does not read the keyset: %w", err)
	}
	return &TinkKeyset{kind, handle}, nil
}

// bytes writes the keyset in the one encoding that package keys keeps, with its secrets.
func (t *TinkKeyset) bytes() ([]byte, error) {
	return t.Cleartext(TinkBinary, insecurecleartext.Token{})
}

func (t *TinkKeyset) empty() bool { return t == nil || t.kind == 0 }

// holds reports whether the keys are of that type.
func (t *TinkKeyset) holds(kind keyset.Type) bool { return t != nil && t.kind == kind }

// Public writes the public halves, for Tink's verifier or hybrid encrypter. It
// fails for symmetric keys, which have none.
func (t *TinkKeyset) Public(f TinkFormat) ([]byte, error) {
	public, err := t.handle.Public()
	if err != nil {
		return nil, fmt.Errorf("keys: symmetric keys have no public half: %w", err)
	}
	return f.write(public.WriteWithNoSecrets)
}

// Encrypted writes the keyset encrypted by kek, and bound to the associated data. Tink's
// keyset.ReadWithAssociatedData reads it. The JSON form shows types, ids and states of the keys in
// the clear.
func (t *TinkKeyset) Encrypted(f TinkFormat, kek tink.AEAD, associatedData []byte) ([]byte, error) {
	if kek == nil {
		return nil, missing.Arg("tink.AEAD")
	}
	return f.write(func(w tinkkeyset.Writer) error {
		return t.handle.WriteWithAssociatedData(w, kek, associatedData)
	})
}

// Cleartext writes the keyset with its secrets in the clear.
func (t *TinkKeyset) Cleartext(f TinkFormat, _ insecurecleartext.Token) ([]byte, error) {
	return f.write(func(w tinkkeyset.Writer) error { return insecurecleartextkeyset.Write(t.handle, w) })
}

const redacted = "[redacted]"

// Format prints a placeholder, whatever the verb.
func (t *TinkKeyset) Format(s fmt.State, _ rune) { fmt.Fprint(s, "keyio.TinkKeyset"+redacted) }

// MarshalJSON writes a placeholder. [TinkKeyset.Encrypted] writes the keyset.
func (t *TinkKeyset) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

func (f TinkFormat) write(write func(tinkkeyset.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	var w tinkkeyset.Writer
	switch f {
	case TinkBinary:
		w = tinkkeyset.NewBinaryWriter(&b)
	case TinkJSON:
		w = tinkkeyset.NewJSONWriter(&b)
	default:
		return nil, errTinkFormat
	}
	if err := write(w); err != nil {
		return nil, fmt.Errorf("keys: Tink does not write the keyset: %w", err)
	}
	return b.Bytes(), nil
}

var errTinkFormat = errors.New("keys: not a format of Tink keysets")
