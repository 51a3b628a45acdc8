//go:build !js

package keys

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// MaxTinkKeysetSize is the largest keyset that is read, in bytes.
const MaxTinkKeysetSize = 1 << 16

// TinkFormat is one of the two forms in which Tink writes a keyset.
type TinkFormat byte

const (
	TinkBinary TinkFormat = iota + 1 // protobuf
	TinkJSON                         // protobuf as JSON
)

// A TinkKeyset is a keyset on its way between Hopseal and a program that uses Tink
// itself: Ed25519 keys, X-Wing keys for HPKE, XAES-256-GCM or AES-256-GCM keys, or
// HMAC keys. It prints as a placeholder.
//
//   - Out: [Identity.TinkKeyset] and [SharedKeyset.TinkKeysets] take it, its
//     methods write it.
//   - In: [ReadTinkKeyset] reads it, [ImportIdentity] and [ImportSharedKeyset]
//     take it over.
//
// The keys are the same at both ends. The signatures and ciphertexts are Tink's
// behind Tink's prefix of five bytes, which none of Hopseal's formats has.
type TinkKeyset struct {
	kind keyset.Type
	set  ring.Set
}

func (t *TinkKeyset) empty() bool { return t == nil || t.kind == 0 }

// A TinkReason is why a Tink keyset was not taken.
type TinkReason byte

const (
	TinkUnreadable  TinkReason = iota + 1 // not a keyset in this format, or not a whole one
	TinkLocked                            // the key that should open it does not, or not with this associated data
	TinkType                              // a key type that Hopseal does not use, or not for this
	TinkParameters                        // a key type in use, with other parameters or a damaged key
	TinkDuplicateID                       // two keys have one id, and a prefix would name both (A23)
	TinkAmbiguous                         // a key without a prefix among others: more than one could match (A22)
	TinkPrefix                            // a prefix that Hopseal does not use
	TinkRepeatedKey                       // one key stands there under two ids
	TinkTooMany                           // more keys than a keyset here holds
	TinkUnpaired                          // the AEAD and the HMAC keyset do not go together key by key
	TinkPrimary                           // the primary key is disabled, destroyed or missing
	TinkSharedKey                         // one key stands in two keysets that have different purposes
)

var tinkReasons = map[TinkReason]string{
	TinkUnreadable:  "it is not a whole Tink keyset in this format: check the format and the file",
	TinkLocked:      "the key does not open it: use the key and the associated data that it was encrypted with",
	TinkType:        "Hopseal does not use this key type here",
	TinkParameters:  "the key is damaged, or has other parameters than Hopseal uses",
	TinkDuplicateID: "two keys have one id: make a new keyset",
	TinkAmbiguous:   "a key without an output prefix must be the only one: more than one key could match a message",
	TinkPrefix:      "Hopseal takes the output prefixes TINK, CRUNCHY and, for a single key, RAW",
	TinkRepeatedKey: "the same key stands there under another id as well",
	TinkTooMany:     fmt.Sprintf("a keyset has at most %d keys: delete old ones first", maxImportedKeys),
	TinkUnpaired:    "the AEAD and the HMAC keyset must have as many keys, in the same order and states",
	TinkPrimary:     "the primary key is disabled, destroyed or missing: enable it, or make another one primary",
	TinkSharedKey:   "the same key stands in both keysets: a key has one purpose: make a new one for the other",
}

// A TinkKeysetError says why a Tink keyset was not taken. It shows no key.
type TinkKeysetError struct {
	Reason TinkReason
	KeyID  uint32 // the key that it is about, where there is one
	detail string // safe to print
	err    error
}

func (e *TinkKeysetError) Error() string {
	s := "keys: Tink keyset not taken"
	if e.KeyID != 0 {
		s += fmt.Sprintf(" for key %d", e.KeyID)
	}
	if e.detail != "" {
		s += ": " + e.detail
	}
	return s + ": " + tinkReasons[e.Reason]
}

// Unwrap returns the error of the AEAD that did not open the keyset, if any.
func (e *TinkKeysetError) Unwrap() error { return e.err }

func tinkError(reason TinkReason, id uint32) error {
	return &TinkKeysetError{Reason: reason, KeyID: id}
}

// TinkKeysets returns the two keysets whose keys pair up: X_AES_GCM or AES256_GCM,
// and HMAC.
func (s *SharedKeyset) TinkKeysets() (aeads, macs *TinkKeyset, err error) {
	state := s.state.Load()
	if aeads, err = ringKeyset(state.aeads); err != nil {
		return nil, nil, err
	}
	macs, err = ringKeyset(state.macs)
	return aeads, macs, err
}

// tinkKeyset refuses what would not be read again: after an imported key without a
// prefix was succeeded by one with a prefix, Tink would try both.
func ringKeyset(r ring.Ring) (*TinkKeyset, error) {
	k, err := r.Set.Keyset()
	if err != nil {
		return nil, err
	}
	if err := unambiguous(k); err != nil {
		return nil, err
	}
	return &TinkKeyset{r.Kind, r.Set}, nil
}

// Public writes the public halves, for Tink's verifier or hybrid encrypter. It
// fails for symmetric keys, which have none.
func (t *TinkKeyset) Public(f TinkFormat) ([]byte, error) {
	public, err := t.set.Handle.Public()
	if err != nil {
		return nil, fmt.Errorf("keys: symmetric keys have no public half: %w", err)
	}
	return f.write(public.WriteWithNoSecrets)
}

// Encrypted writes the keyset encrypted by kek, and bound to the associated data:
// what Tink's keyset.ReadWithAssociatedData reads. The form in JSON tells types,
// ids and states of the keys in the clear.
func (t *TinkKeyset) Encrypted(f TinkFormat, kek tink.AEAD, associatedData []byte) ([]byte, error) {
	if kek == nil {
		return nil, missing.Arg("tink.AEAD")
	}
	return f.write(func(w tinkkeyset.Writer) error {
		return t.set.Handle.WriteWithAssociatedData(w, kek, associatedData)
	})
}

// Cleartext writes the keyset with its secrets in the clear.
func (t *TinkKeyset) Cleartext(f TinkFormat, _ insecurecleartext.Token) ([]byte, error) {
	return f.write(func(w tinkkeyset.Writer) error { return insecurecleartextkeyset.Write(t.set.Handle, w) })
}

// Format prints a placeholder, whatever the verb.
func (t *TinkKeyset) Format(s fmt.State, _ rune) { printRedacted(s, "keys.TinkKeyset") }

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

// ReadTinkKeyset reads a keyset that Tink, or [TinkKeyset.Encrypted], wrote
// encrypted by kek and bound to the associated data. It takes keys in any state,
// drops those that were destroyed, and returns a [*TinkKeysetError] for what
// Hopseal does not use.
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
	// Decrypted as keyset.ReadWithAssociatedData does it, but judged here, where
	// the error can say which key is not taken, and why.
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
	// In the one encoding that is kept here, without what Tink ignores.
	canonical, err := k.Append(nil)
	if err != nil {
		return nil, tinkError(TinkUnreadable, 0)
	}
	set, err := ring.ParseSet(canonical)
	return &TinkKeyset{k.Keys[0].Type, set}, err
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

// fits holds a key against those that stand before it.
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

// unambiguous refuses a key without a prefix beside another one: with a prefix a
// message names its key, without one every such key would have to be tried (A22).
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

// takeTinkKey has Tink judge one key alone, and the compact codec its parameters.
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
	k, err := ring.Set{Handle: handle}.Keyset()
	if err != nil {
		return keyset.Key{}, tinkError(TinkParameters, id)
	}
	taken := k.Keys[0]
	taken.Status = status
	return taken, nil
}
