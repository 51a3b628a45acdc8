package keyio

import (
	"bytes"
	"slices"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// MaxTinkKeysetSize is the size of the largest keyset that this package reads, in bytes.
const MaxTinkKeysetSize = 1 << 16

func (f TinkFormat) reader(b []byte) (tinkkeyset.Reader, error) {
	if len(b) > MaxTinkKeysetSize {
		return nil, tinkError(TinkUnreadable, 0)
	}
	switch f {
	case TinkBinary:
		return tinkkeyset.NewBinaryReader(bytes.NewReader(b)), nil
	case TinkJSON:
		return tinkkeyset.NewJSONReader(bytes.NewReader(b)), nil
	}
	return nil, errTinkFormat
}

// ReadTinkKeyset reads a keyset that Tink or [TinkKeyset.Encrypted] wrote, encrypted by kek and bound
// to the associated data. It takes keys in any state, but drops destroyed ones. It returns a
// [*TinkKeysetError] for what Hopseal does not use.
func ReadTinkKeyset(b []byte, f TinkFormat, kek tink.AEAD, associatedData []byte) (*TinkKeyset, error) {
	if kek == nil {
		return nil, missing.Arg("tink.AEAD")
	}
	r, err := f.reader(b)
	if err != nil {
		return nil, err
	}
	encrypted, err := r.ReadEncrypted()
	if err != nil {
		return nil, tinkError(TinkUnreadable, 0)
	}
	// This decrypts as keyset.ReadWithAssociatedData does, but checks the keys here, where the error
	// can say which key is refused, and why.
	plain, err := kek.Decrypt(encrypted.GetEncryptedKeyset(), associatedData)
	if err != nil {
		return nil, &TinkKeysetError{Reason: TinkLocked, err: err}
	}
	defer clear(plain)
	return ReadCleartextTinkKeyset(plain, TinkBinary, insecurecleartext.Token{})
}

// ReadCleartextTinkKeyset reads a keyset that Tink, or [TinkKeyset.Cleartext],
// wrote in the clear, by the rules of [ReadTinkKeyset].
func ReadCleartextTinkKeyset(b []byte, f TinkFormat, _ insecurecleartext.Token) (*TinkKeyset, error) {
	r, err := f.reader(b)
	if err != nil {
		return nil, err
	}
	read, err := r.Read()
	if err != nil {
		return nil, tinkError(TinkUnreadable, 0)
	}
	k, err := takeTinkKeyset(read)
	if err != nil {
		return nil, err
	}
	// This package keeps the one canonical encoding, without what Tink ignores.
	canonical, err := k.Append(nil)
	if err != nil {
		return nil, tinkError(TinkUnreadable, 0)
	}
	return tinkKeyset(k.Keys[0].Type, canonical)
}

// maxImportedKeys is how many keys a keyset from elsewhere may have.
const maxImportedKeys = 32

func takeTinkKeyset(read *tinkpb.Keyset) (keyset.Keyset, error) {
	k := keyset.Keyset{Primary: read.GetPrimaryKeyId()}
	for _, key := range read.GetKey() {
		if key.GetStatus() == tinkpb.KeyStatusType_DESTROYED {
			continue
		}
		if len(k.Keys) == maxImportedKeys {
			return keyset.Keyset{}, tinkError(TinkTooMany, 0)
		}
		taken, err := takeTinkKey(key)
		if err != nil {
			return keyset.Keyset{}, err
		}
		if err := fits(k.Keys, taken); err != nil {
			return keyset.Keyset{}, err
		}
		k.Keys = append(k.Keys, taken)
	}
	if len(k.Keys) == 0 {
		return keyset.Keyset{}, tinkError(TinkUnreadable, 0)
	}
	works := func(key keyset.Key) bool { return key.ID == k.Primary && key.Status == keyset.Enabled }
	if !slices.ContainsFunc(k.Keys, works) {
		return keyset.Keyset{}, tinkError(TinkPrimary, k.Primary)
	}
	return k, unambiguous(k)
}

// fits compares a key with the keys before it, and returns an error if they cannot be in one keyset.
func fits(before []keyset.Key, key keyset.Key) error {
	for _, other := range before {
		switch {
		case other.ID == key.ID:
			return tinkError(TinkDuplicateID, key.ID)
		case other.Type != key.Type:
			return tinkError(TinkType, key.ID)
		case bytes.Equal(other.Secret, key.Secret):
			return tinkError(TinkRepeatedKey, key.ID)
		}
	}
	return nil
}

// unambiguous refuses a key without a prefix beside another key. A message with a prefix names its
// key; without one, every such key would have to be tried (A22).
func unambiguous(k keyset.Keyset) error {
	for _, key := range k.Keys {
		if key.Prefix == keyset.PrefixRaw && len(k.Keys) > 1 {
			return tinkError(TinkAmbiguous, key.ID)
		}
	}
	return nil
}

var tinkTypes = []string{"Ed25519PrivateKey", "HpkePrivateKey", "XAesGcmKey", "AesGcmKey", "HmacKey"}

const tinkTypePrefix = "type.googleapis.com/google.crypto.tink."

// takeTinkKey lets Tink check one key alone, and the compact codec check its parameters.
func takeTinkKey(key *tinkpb.Keyset_Key) (keyset.Key, error) {
	id := key.GetKeyId()
	url := key.GetKeyData().GetTypeUrl()
	if !slices.ContainsFunc(tinkTypes, func(s string) bool { return tinkTypePrefix+s == url }) {
		return keyset.Key{}, &TinkKeysetError{Reason: TinkType, KeyID: id, detail: safetext.Quote(url, 100)}
	}
	switch key.GetOutputPrefixType() {
	case tinkpb.OutputPrefixType_TINK, tinkpb.OutputPrefixType_CRUNCHY, tinkpb.OutputPrefixType_RAW:
	default:
		return keyset.Key{}, tinkError(TinkPrefix, id)
	}
	status := keyset.Status(key.GetStatus())
	if id == 0 || status != keyset.Enabled && status != keyset.Disabled { // 0 names no key in a KeyRef
		return keyset.Key{}, tinkError(TinkUnreadable, id)
	}
	alone := &tinkpb.Keyset{PrimaryKeyId: id, Key: []*tinkpb.Keyset_Key{{
		KeyData: key.GetKeyData(), Status: tinkpb.KeyStatusType_ENABLED, KeyId: id, OutputPrefixType: key.GetOutputPrefixType(),
	}}}
	b, err := TinkBinary.write(func(w tinkkeyset.Writer) error { return w.Write(alone) })
	if err != nil {
		return keyset.Key{}, tinkError(TinkUnreadable, id)
	}
	handle, err := insecurecleartextkeyset.Read(tinkkeyset.NewBinaryReader(bytes.NewReader(b)))
	if err != nil {
		return keyset.Key{}, tinkError(TinkParameters, id)
	}
	t := &TinkKeyset{handle: handle}
	if b, err = t.bytes(); err != nil {
		return keyset.Key{}, tinkError(TinkParameters, id)
	}
	k, err := keyset.Parse(b)
	if err != nil {
		return keyset.Key{}, tinkError(TinkParameters, id)
	}
	taken := k.Keys[0]
	taken.Status = status
	return taken, nil
}
