package envelope

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A contentKey is a secret of 32 bytes, sealed to every recipient of one message.
// HKDF-SHA-256, under labels, derives from it the keys that protect the message.
type contentKey []byte

func newContentKey() contentKey {
	k := make(contentKey, contentSize)
	rand.Read(k)
	return k
}

// id returns the hash that commits to the key.
func (k contentKey) id() SealKeyID { return SealKeyID(k.expand(label.EnvelopeContentID)) }

// body returns the AEAD of an envelope's body.
func (k contentKey) body() contentAEAD {
	return contentAEAD{gcm.NewRandom(k.expand(label.EnvelopeBodyKey))}
}

func (k contentKey) expand(l label.Label) []byte { return derive(k, nil, string(l)) }

func derive(secret, salt []byte, info string) []byte {
	key, err := hkdf.Key(sha256.New, secret, salt, info, 32)
	if err != nil {
		panic(err) // 32 bytes are within HKDF's limit
	}
	return key
}

// A bodyKey seals and opens bodies: a contentAEAD or a [keys.SharedKey].
type bodyKey interface {
	Overhead() int
	Seal(dst, plaintext, aad []byte) ([]byte, error)
	Open(dst, sealed, aad []byte) ([]byte, error)
}

// contentAEAD is AES-256-GCM with a random nonce in front.
type contentAEAD struct{ gcm.Random }

// Seal never fails: a content key seals one body.
func (c contentAEAD) Seal(dst, plaintext, aad []byte) ([]byte, error) {
	return c.Random.Seal(dst, plaintext, aad), nil
}

// wrap seals the key to every recipient and returns the recipients field. digest is the
// header's.
func (k contentKey) wrap(recipients []*keys.PublicIdentity, digest []byte) ([]byte, error) {
	recipients = slices.Clone(recipients)
	sort.Slice(recipients, func(i, j int) bool {
		a, b := recipients[i].RecipientKey().ID(), recipients[j].RecipientKey().ID()
		return bytes.Compare(a[:], b[:]) < 0
	})
	b := make([]byte, 0, 3+len(recipients)*recipientSize)
	b = strict.AppendArray(b, len(recipients))
	var last keys.SealingKeyID
	for _, to := range recipients {
		id := to.RecipientKey().ID()
		if id == last {
			return nil, errors.New("envelope: one key is listed for two recipients")
		}
		last = id
		sealed, err := to.RecipientKey().SealKey(recipientInfo(digest, to.Fingerprint(), id), k)
		if err != nil {
			return nil, fmt.Errorf("envelope: sealing to a recipient: %w", err)
		}
		b = strict.AppendArray(b, 2)
		b = strict.AppendBin(strict.AppendBin(b, id[:]), sealed)
	}
	return b, nil
}

// unwrap finds the identity's entry among the recipients, opens the content key in it and
// compares that key with the header's commitment. It tries this one entry only. It sets
// h.Retired. The proof must have been verified: it covers the recipients.
func unwrap(id *keys.Identity, archive bool, h *Header, recipients, digest []byte) (contentKey, error) {
	var ours keys.SealingKeyID
	var stage keys.Stage
	var sealed []byte
	wellFormed := eachRecipient(recipients, func(to keys.SealingKeyID, s []byte) {
		if at, held := id.SealingKey(to); held && sealed == nil {
			ours, stage, sealed = to, at, s
		}
	})
	switch {
	case !wellFormed:
		return nil, fail(ReasonMalformed)
	case sealed == nil:
		return nil, fail(ReasonNotForUs)
	case stage == keys.StageArchived && !archive:
		return nil, fail(ReasonRetired)
	}
	h.Retired = stage > keys.StagePrimary
	secret, err := id.UnsealKey(ours, recipientInfo(digest, id.Fingerprint(), ours), sealed)
	if err != nil || len(secret) != contentSize {
		return nil, fail(ReasonKey)
	}
	key := contentKey(secret)
	if got := key.id(); subtle.ConstantTimeCompare(got[:], h.SealKey[:]) != 1 {
		return nil, fail(ReasonKey)
	}
	return key, nil
}
