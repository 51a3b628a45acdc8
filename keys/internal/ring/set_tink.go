//go:build !js

package ring

import (
	"bytes"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/key"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac/hmac"
	"github.com/tink-crypto/tink-go/v2/signature/ed25519"

	"github.com/hopseal/hopseal/internal/keyset"
)

// Set is a Tink keyset, kept by Tink.
type Set struct{ Handle *tinkkeyset.Handle }

// GenerateSet makes a keyset with one key.
func GenerateSet(kind keyset.Type) (Set, error) {
	return change(tinkkeyset.NewManager(), func(m *tinkkeyset.Manager) error {
		id, err := addTinkKey(m, kind)
		if err != nil {
			return err
		}
		return m.SetPrimary(id)
	})
}

func addTinkKey(m *tinkkeyset.Manager, kind keyset.Type) (uint32, error) {
	params, err := tinkParameters(kind)
	if err != nil {
		return 0, err
	}
	return m.AddNewKeyFromParameters(params)
}

func change(m *tinkkeyset.Manager, f func(*tinkkeyset.Manager) error) (Set, error) {
	if err := f(m); err != nil {
		return Set{}, err
	}
	handle, err := m.Handle()
	return Set{handle}, err
}

// with returns a changed copy. Tink's manager works on a copy of its own.
func (t Set) with(f func(*tinkkeyset.Manager) error) (Set, error) {
	return change(tinkkeyset.NewManagerFromHandle(t.Handle), f)
}

// Add returns the keyset with another key, and its id.
func (t Set) Add(kind keyset.Type) (set Set, id uint32, err error) {
	set, err = t.with(func(m *tinkkeyset.Manager) error {
		id, err = addTinkKey(m, kind)
		return err
	})
	return set, id, err
}

// Promote returns the keyset with that key as primary.
func (t Set) Promote(id uint32) (Set, error) {
	return t.with(func(m *tinkkeyset.Manager) error { return m.SetPrimary(id) })
}

// Disable returns the keyset with that key disabled.
func (t Set) Disable(id uint32) (Set, error) {
	return t.with(func(m *tinkkeyset.Manager) error { return m.Disable(id) })
}

// Destroy returns the keyset without that key.
func (t Set) Destroy(id uint32) (Set, error) {
	return t.with(func(m *tinkkeyset.Manager) error { return m.Delete(id) })
}

func tinkParameters(kind keyset.Type) (key.Parameters, error) {
	switch kind {
	case keyset.Ed25519:
		p, err := ed25519.NewParameters(ed25519.VariantTink)
		return &p, err
	case keyset.XWing:
		return hpke.NewParameters(hpke.ParametersOpts{
			KEMID: hpke.X_WING, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES256GCM, Variant: hpke.VariantTink,
		})
	case keyset.XAESGCM:
		return xaesgcm.NewParameters(xaesgcm.VariantTink, 12)
	case keyset.HMAC:
		return hmac.NewParameters(hmac.ParametersOpts{
			KeySizeInBytes: 32, TagSizeInBytes: 32, HashType: hmac.SHA256, Variant: hmac.VariantTink,
		})
	case keyset.AESGCM:
		return aesgcm.NewParameters(aesgcm.ParametersOpts{
			KeySizeInBytes: 32, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
		})
	}
	return nil, keyset.ErrMalformed
}

// ParseSet reads what Bytes returned.
func ParseSet(b []byte) (Set, error) {
	// Tink's reader accepts unknown fields and several encodings. A stored keyset has one encoding,
	// and the browser accepts no other.
	if _, err := keyset.Parse(b); err != nil {
		return Set{}, err
	}
	handle, err := insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(b)))
	if err != nil {
		return Set{}, fmt.Errorf("keys: Tink does not read the keyset: %w", err)
	}
	return Set{handle}, nil
}

// Bytes writes the keyset as Tink does, with its secrets.
func (t Set) Bytes() ([]byte, error) {
	var b bytes.Buffer
	err := insecurecleartextkeyset.Write(t.Handle, tinkkeyset.NewBinaryWriter(&b))
	return b.Bytes(), err
}

// Keyset takes the key bytes out of Tink's key objects: the compact codec reads what Tink writes. It
// also refuses ids that repeat, and the key types and parameters that Hopseal does not use (A23).
func (t Set) Keyset() (keyset.Keyset, error) {
	b, err := t.Bytes()
	if err != nil {
		return keyset.Keyset{}, err
	}
	return keyset.Parse(b)
}
