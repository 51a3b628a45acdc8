package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A Sealer seals messages of one sender. Which fields are set decides how:
//
//   - From and To: to public identities, with a proof that From signs;
//   - Shared and Party: under a shared keyset, with an HMAC;
//   - Shared and From: under a shared keyset, with a proof that From signs.
//
// A Sealer is safe for concurrent use while its fields are not changed.
type Sealer struct {
	From   *keys.Identity
	To     []*keys.PublicIdentity // 1 to [MaxRecipients], each once, neither expired nor revoked
	Shared *keys.SharedKeyset
	Party  string // the sender's name among the holders of Shared

	ContentType string // what the plaintext is, visible to all, at most 128 bytes
	Context     string // what the message is for: the Opener must expect the same, at most 1,024 bytes
}

// Seal appends the envelope of plaintext to dst. They must not overlap. It
// returns an error only where the Sealer cannot be used as it is.
func (s *Sealer) Seal(dst, plaintext []byte) ([]byte, error) {
	h := Header{ID: newMessageID(), Time: time.Now(), ContentType: s.ContentType, Context: s.Context}
	var err error
	if h.Suite, err = s.suite(); err != nil {
		return nil, err
	}
	if err := s.check(plaintext, h.Time); err != nil {
		return nil, err
	}
	if h.Suite == SuiteShared {
		h.Party = s.Party
	} else {
		h.Sender = s.From.Fingerprint()
		h.ProofKey = s.From.Public().VerifyingKey().ID()
	}
	if h.Suite == SuiteRecipients {
		return s.sealToRecipients(dst, plaintext, h)
	}
	h.SealKey = s.Shared.Primary().ID()
	return s.sealShared(dst, plaintext, h)
}

func (s *Sealer) suite() (Suite, error) {
	to, shared, from, party := len(s.To) > 0, s.Shared != nil, s.From != nil, s.Party != ""
	switch {
	case from && to && !shared && !party:
		return SuiteRecipients, nil
	case shared && from && !to && !party:
		return SuiteSharedSigned, nil
	case shared && party && !to && !from:
		return SuiteShared, nil
	}
	return 0, errors.New("envelope: a Sealer needs From and To, Shared and Party, or Shared and From, and nothing beside")
}

func (s *Sealer) check(plaintext []byte, now time.Time) error {
	switch {
	case len(plaintext) > maxPlaintext:
		return errors.New("envelope: a message has less than 4 GiB")
	case len(s.Party) > MaxPartySize || len(s.ContentType) > MaxContentTypeSize || len(s.Context) > MaxContextSize:
		return errors.New("envelope: Party, ContentType or Context is too long")
	case !utf8.ValidString(s.Party) || !utf8.ValidString(s.ContentType) || !utf8.ValidString(s.Context):
		return errors.New("envelope: Party, ContentType or Context is not UTF-8")
	case s.From != nil && s.From.Public().Revoked():
		return keys.ErrRevoked
	case len(s.To) > MaxRecipients:
		return fmt.Errorf("envelope: at most %d recipients", MaxRecipients)
	}
	for i, p := range s.To {
		if p == nil || p.Revoked() || !now.Before(p.Expires()) {
			return fmt.Errorf("envelope: recipient %d is missing, revoked or expired: ask it for its current identity", i)
		}
	}
	return nil
}

func (s *Sealer) sealShared(dst, plaintext []byte, h Header) ([]byte, error) {
	key := s.Shared.Primary()
	header := h.append(nil)
	dst = growFor(dst, len(header)+len(plaintext))
	dst = appendHead(dst, header)
	dst = strict.AppendNil(dst)
	p := parts{header: header}
	dst, p.body = appendBody(dst, plaintext, keys.SharedOverhead, func(dst, padded []byte) []byte {
		return key.Seal(dst, padded, bodyAAD(header))
	})
	if h.Suite == SuiteShared {
		mac := key.MAC(nil, proofInput(label.EnvelopeProofKeyed, p))
		return strict.AppendBin(dst, mac), nil
	}
	return s.appendSignature(dst, p)
}

func (s *Sealer) sealToRecipients(dst, plaintext []byte, h Header) ([]byte, error) {
	content := make([]byte, contentSize)
	rand.Read(content)
	aead, id := contentKeys(content)
	h.SealKey = id
	header := h.append(nil)
	p := parts{header: header}
	var err error
	if p.recipients, err = s.wrap(content, header); err != nil {
		return nil, err
	}
	dst = growFor(dst, len(header)+len(p.recipients)+len(plaintext))
	dst = appendHead(dst, header)
	dst = strict.AppendBin(dst, p.recipients)
	dst, p.body = appendBody(dst, plaintext, gcmNonceSize+gcmTagSize, func(dst, padded []byte) []byte {
		return appendGCM(dst, aead, padded, bodyAAD(header))
	})
	return s.appendSignature(dst, p)
}

func appendHead(dst, header []byte) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 5), version)
	return strict.AppendBin(dst, header)
}

func growFor(dst []byte, n int) []byte { return slices.Grow(dst, n+n/8+512) }

// appendBody pads the plaintext where its ciphertext will stand and seals it in
// place. It returns dst and the body in it.
func appendBody(dst, plaintext []byte, overhead int, seal func(dst, padded []byte) []byte) (out, body []byte) {
	size := overhead + paddedSize(len(plaintext))
	dst = slices.Grow(strict.AppendBinHead(dst, size), size)
	start := len(dst)
	nonceSize := overhead - gcmTagSize
	padded := appendPadded(dst[:start+nonceSize], plaintext)[start+nonceSize:]
	dst = seal(dst, padded)
	return dst, dst[start:]
}

// contentKeys derives, from a content key that serves one message, the AEAD of
// the body and the id that commits to it. Both are HKDF-SHA-256 with their own
// label.
func contentKeys(content []byte) (cipher.AEAD, [idSize]byte) {
	id := expand(content, label.EnvelopeContentID)
	key := expand(content, label.EnvelopeBodyKey)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead, [idSize]byte(id)
}

func expand(secret []byte, l label.Label) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, string(l), 32)
	if err != nil {
		panic(err) // 32 bytes are within HKDF's limit
	}
	return key
}

func appendGCM(dst []byte, aead cipher.AEAD, plaintext, aad []byte) []byte {
	nonce := make([]byte, gcmNonceSize)
	rand.Read(nonce)
	return aead.Seal(append(dst, nonce...), nonce, plaintext, aad)
}

// wrap seals the content key to every recipient.
func (s *Sealer) wrap(content, header []byte) ([]byte, error) {
	digest := headerDigest(header)
	b := make([]byte, 0, 3+len(s.To)*recipientSize)
	b = strict.AppendArray(b, len(s.To))
	listed := make(map[keys.SealingKeyID]bool, len(s.To))
	for i, to := range s.To {
		key := to.RecipientKey()
		if listed[key.ID()] {
			return nil, fmt.Errorf("envelope: recipient %d is listed twice", i)
		}
		listed[key.ID()] = true
		sealed, err := key.SealKey(recipientInfo(digest, key.ID()), content)
		if err != nil {
			return nil, fmt.Errorf("envelope: recipient %d: %w", i, err)
		}
		id := key.ID()
		b = strict.AppendArray(b, 2)
		b = strict.AppendBin(strict.AppendBin(b, id[:]), sealed)
	}
	return b, nil
}

func (s *Sealer) appendSignature(dst []byte, p parts) ([]byte, error) {
	sig, err := s.From.Signer().Sign(proofInput(label.EnvelopeProof, p))
	if err != nil {
		return nil, fmt.Errorf("envelope: signing: %w", err)
	}
	return strict.AppendBin(dst, sig), nil
}
