package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A Sealer seals messages of one sender. Which fields are set decides how:
//
//   - From and To: to public identities, with a proof that From signs;
//   - Shared, Party and ToParty: under a shared keyset, with an HMAC;
//   - Shared, From and ToParty: under a shared keyset, with a proof that From signs.
//
// A Sealer is safe for concurrent use while its fields are not changed.
type Sealer struct {
	From    *keys.Identity
	To      []*keys.PublicIdentity // 1 to [MaxRecipients], each once, neither expired nor revoked
	Shared  *keys.SharedKeyset
	Party   string // the sender's name among the holders of Shared
	ToParty string // whom the message is for among them; they may agree on a name for all

	ContentType string // what the plaintext is, visible to all, at most 128 bytes
	Context     string // what the message is for: the Opener must expect the same, at most 1,024 bytes
}

// Seal appends the envelope of plaintext to dst, whose spare capacity must not
// overlap plaintext. It returns an error only where it cannot be used like this.
func (s *Sealer) Seal(dst, plaintext []byte) ([]byte, error) {
	if overlap(dst, plaintext) {
		return nil, errOverlap
	}
	h := Header{ID: newMessageID(), Time: time.Now(), ContentType: s.ContentType, Context: s.Context}
	var err error
	if h.Suite, err = s.suite(); err != nil {
		return nil, err
	}
	if err := s.check(plaintext, h.Time); err != nil {
		return nil, err
	}
	var signer keys.Signer
	if h.Suite == SuiteShared {
		h.Party = s.Party
	} else {
		h.Sender = s.From.Fingerprint()
		h.ProofKey, signer = s.From.Signing()
	}
	if h.Suite == SuiteRecipients {
		return s.sealToRecipients(dst, plaintext, h, signer)
	}
	return s.sealShared(dst, plaintext, h, signer)
}

func (s *Sealer) suite() (Suite, error) {
	from, shared := s.From != nil && s.From.Public() != nil, s.Shared != nil && s.Shared.Primary() != nil
	to, party, toParty := len(s.To) > 0, s.Party != "", s.ToParty != ""
	switch {
	case from && to && !shared && !party && !toParty:
		return SuiteRecipients, nil
	case shared && from && toParty && !to && !party:
		return SuiteSharedSigned, nil
	case shared && party && toParty && s.Party != s.ToParty && !to && !from:
		return SuiteShared, nil
	}
	return 0, errors.New("envelope: a Sealer needs From and To; Shared, Party and another ToParty; or Shared, From and ToParty; and nothing beside")
}

func (s *Sealer) check(plaintext []byte, now time.Time) error {
	switch {
	case len(plaintext) > maxPlaintext:
		return errors.New("envelope: a message has less than 2 GiB")
	case len(s.Party) > MaxPartySize || len(s.ToParty) > MaxPartySize || len(s.ContentType) > MaxContentTypeSize || len(s.Context) > MaxContextSize:
		return errors.New("envelope: Party, ContentType or Context is too long")
	case !utf8.ValidString(s.Party) || !utf8.ValidString(s.ToParty) || !utf8.ValidString(s.ContentType) || !utf8.ValidString(s.Context):
		return errors.New("envelope: Party, ContentType or Context is not UTF-8")
	case s.From != nil && s.From.Public().Revoked():
		return keys.ErrRevoked
	case len(s.To) > MaxRecipients:
		return fmt.Errorf("envelope: at most %d recipients", MaxRecipients)
	}
	for i, p := range s.To {
		if !sealable(p, now) {
			return fmt.Errorf("envelope: recipient %d is missing, revoked or expired: ask it for its current identity", i)
		}
	}
	return nil
}

// sealable reports whether an identity, and the key that it lists, are in use. Its
// clock may be ahead.
func sealable(p *keys.PublicIdentity, now time.Time) bool {
	if p == nil || p.RecipientKey() == nil || !now.Before(p.Expires()) {
		return false
	}
	return p.RecipientKey().ValidAt(now) || p.RecipientKey().ValidAt(now.Add(keys.ClockSkew))
}

func (s *Sealer) sealShared(dst, plaintext []byte, h Header, signer keys.Signer) ([]byte, error) {
	key := s.Shared.Primary()
	h.SealKey = SealKeyID(key.ID())
	header := h.append(nil)
	dst = growFor(dst, len(header)+len(plaintext))
	dst = appendHead(dst, header)
	dst = strict.AppendNil(dst)
	p := parts{header: header}
	var err error
	dst, p.body, err = appendBody(dst, plaintext, key.Overhead(), func(dst, padded []byte) ([]byte, error) {
		return key.Seal(dst, padded, bodyAAD(header))
	})
	if err != nil {
		return nil, err
	}
	if h.Suite == SuiteShared {
		mac := key.MAC(nil, proofInput(label.EnvelopeProofKeyed, p, s.ToParty))
		return strict.AppendBin(dst, mac), nil
	}
	return appendSignature(dst, p, s.ToParty, signer)
}

func (s *Sealer) sealToRecipients(dst, plaintext []byte, h Header, signer keys.Signer) ([]byte, error) {
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
	dst, p.body, err = appendBody(dst, plaintext, gcmNonceSize+gcmTagSize, func(dst, padded []byte) ([]byte, error) {
		return appendGCM(dst, aead, padded, bodyAAD(header)), nil
	})
	if err != nil {
		return nil, err
	}
	return appendSignature(dst, p, "", signer)
}

func appendHead(dst, header []byte) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 5), version)
	return strict.AppendBin(dst, header)
}

func growFor(dst []byte, n int) []byte { return slices.Grow(dst, n+n/8+512) }

// appendBody pads the plaintext where its ciphertext will stand and seals it in
// place. It returns dst and the body in it.
func appendBody(dst, plaintext []byte, overhead int, seal func(dst, padded []byte) ([]byte, error)) (out, body []byte, err error) {
	size := overhead + paddedSize(len(plaintext))
	dst = slices.Grow(strict.AppendBinHead(dst, size), size)
	start := len(dst)
	nonceSize := overhead - gcmTagSize
	padded := appendPadded(dst[:start+nonceSize], plaintext)[start+nonceSize:]
	if dst, err = seal(dst, padded); err != nil {
		return nil, nil, err
	}
	return dst, dst[start:], nil
}

// contentKeys derives, from a content key that serves one message, the AEAD of
// the body and the id that commits to it. Both are HKDF-SHA-256 with their own
// label.
func contentKeys(content []byte) (cipher.AEAD, SealKeyID) {
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
	return aead, SealKeyID(id)
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
	recipients := slices.Clone(s.To)
	sort.Slice(recipients, func(i, j int) bool {
		a, b := recipients[i].RecipientKey().ID(), recipients[j].RecipientKey().ID()
		return bytes.Compare(a[:], b[:]) < 0
	})
	digest := headerDigest(header)
	b := make([]byte, 0, 3+len(recipients)*recipientSize)
	b = strict.AppendArray(b, len(recipients))
	var last keys.SealingKeyID
	for _, to := range recipients {
		id := to.RecipientKey().ID()
		if id == last {
			return nil, errors.New("envelope: one key is listed for two recipients")
		}
		last = id
		sealed, err := to.RecipientKey().SealKey(recipientInfo(digest, to.Fingerprint(), id), content)
		if err != nil {
			return nil, fmt.Errorf("envelope: sealing to a recipient: %w", err)
		}
		b = strict.AppendArray(b, 2)
		b = strict.AppendBin(strict.AppendBin(b, id[:]), sealed)
	}
	return b, nil
}

func appendSignature(dst []byte, p parts, receiver string, signer keys.Signer) ([]byte, error) {
	sig, err := signer.Sign(proofInput(label.EnvelopeProof, p, receiver))
	if err != nil {
		return nil, fmt.Errorf("envelope: signing: %w", err)
	}
	return strict.AppendBin(dst, sig), nil
}
