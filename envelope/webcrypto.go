package envelope

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/webcrypto"
	"github.com/hopseal/hopseal/internal/xaes"
	"github.com/hopseal/hopseal/keys"
)

func init() {
	webcrypto.Seal = func(s any, size int) (*webcrypto.Sealing, error) { return s.(*Sealer).sealInSteps(size) }
	webcrypto.Open = func(o any, sealed []byte) (*webcrypto.Opening, error) { return o.(*Opener).openInSteps(sealed) }
}

const proofHead = 2 // bytes of the head of a proof, which has 32 or 64 bytes

// sealInSteps does what Seal does, and leaves the body to WebCrypto. It returns nil for an
// AES256_GCM pair, which has no key for each message.
func (s *Sealer) sealInSteps(n int) (*webcrypto.Sealing, error) {
	if n > maxPlaintext {
		return nil, errTooLong
	}
	m, err := s.begin()
	if err != nil {
		return nil, err
	}
	size, length, err := s.Padding.padded(n)
	if err != nil {
		return nil, err
	}
	p := parts{header: m.append(nil)}
	if p.recipients, err = m.wrap(s.To, label.EnvelopeHeader, p.header); err != nil {
		return nil, err
	}
	key, nonce, err := m.messageKey(size)
	if key == nil || err != nil {
		return nil, err
	}
	body := len(nonce) + size + gcm.TagSize
	return &webcrypto.Sealing{
		Body:   bodyOf(key, nonce, p.header),
		Digest: p.digest(body, nonce, s.ToParty),
		Head:   append(appendHead(nil, p, body), nonce...),
		Length: length, Padded: size,
		Prove: func(digest []byte) ([]byte, error) {
			return m.by.appendBin(nil, m.Suite, envelopeProof.label(m.Suite).With(digest))
		},
	}, nil
}

// messageKey returns a fresh nonce and the key of this one message. It returns a nil key for an
// AES256_GCM pair, which has no key for each message.
func (m *outgoing) messageKey(size int) (key, nonce []byte, err error) {
	if m.Suite == SuiteRecipients {
		nonce = make([]byte, gcm.NonceSize)
		rand.Read(nonce)
		return m.content.expand(label.EnvelopeBodyKey), nonce, nil
	}
	nonce = make([]byte, m.pair.Overhead()-gcm.TagSize)
	rand.Read(nonce)
	if key = webcrypto.MessageKey(m.pair, nonce); key == nil {
		return nil, nil, nil
	}
	return key, nonce, webcrypto.Count(m.pair, size)
}

// openInSteps does what Open does, and leaves the digest and the body to WebCrypto. It returns
// nil for an AES256_GCM pair.
func (o *Opener) openInSteps(sealed []byte) (*webcrypto.Opening, error) {
	want, err := o.suite()
	if err != nil {
		return nil, err
	}
	h, p, err := parse(sealed, o.FromParty, o.Context)
	if err != nil {
		return nil, err
	}
	check, err := o.authenticate(want, &h)
	if err != nil {
		return nil, err
	}
	if !o.messageKeys(&h) {
		return nil, nil
	}
	size, padded := len(p.body), -1 // how long the plaintext is, once the proof has verified
	at := len(sealed) - len(p.proof) - proofHead - size
	p = p.kept()
	return &webcrypto.Opening{
		Digest: p.digest(size, nil, o.Party), At: at, Size: size,
		Verify: func(digest []byte) (webcrypto.Body, error) {
			if !check.verify(envelopeProof.label(want).With(digest), p.proof) {
				return webcrypto.Body{}, fail(ReasonProof)
			}
			body, err := o.messageKey(&h, p, size)
			if err == nil {
				padded = size - body.Start - gcm.TagSize
			}
			return body, err
		},
		Finish: func(plain []byte) ([]byte, any, error) {
			if padded < 0 {
				return nil, nil, fail(ReasonProof)
			}
			data, ok := unpad(plain)
			if !ok || len(plain) != padded {
				return nil, nil, fail(ReasonBody)
			}
			return data, h, o.once(&h)
		},
	}, nil
}

// messageKeys reports whether each message has a key of its own for its body. Under an AES256_GCM
// pair it has none.
func (o *Opener) messageKeys(h *Header) bool {
	if h.Suite == SuiteRecipients {
		return true
	}
	pair, known := o.Shared.Key(keys.SharedKeyID(h.SealKey))
	return !known || pair.Overhead() == xaes.Overhead
}

// kept returns a copy of the parts, with no more of the body than its nonce.
func (p parts) kept() parts {
	nonce := p.body[:min(len(p.body), xaes.NonceSize)]
	return parts{bytes.Clone(p.header), bytes.Clone(p.recipients), bytes.Clone(nonce), bytes.Clone(p.proof)}
}

// messageKey returns the key of the message's body, from the one key that its header names.
func (o *Opener) messageKey(h *Header, p parts, size int) (webcrypto.Body, error) {
	nonce := gcm.NonceSize
	var key []byte
	if h.Suite == SuiteRecipients {
		content, err := unwrap(o.Identity, o.Archive, h, p.recipients, headerDigest(label.EnvelopeHeader, p.header))
		if err != nil {
			return webcrypto.Body{}, err
		}
		key = content.expand(label.EnvelopeBodyKey)
	} else {
		pair, err := o.pair(h)
		if err != nil {
			return webcrypto.Body{}, err
		}
		nonce = pair.Overhead() - gcm.TagSize
		key = webcrypto.MessageKey(pair, p.body)
	}
	if size < nonce+gcm.TagSize {
		return webcrypto.Body{}, fail(ReasonBody)
	}
	return bodyOf(key, p.body[:nonce], p.header), nil
}

func bodyOf(key, nonce, header []byte) webcrypto.Body {
	return webcrypto.Body{Key: key, Nonce: nonce[len(nonce)-gcm.NonceSize:], Start: len(nonce), AAD: label.EnvelopeBody.With(header)}
}

// digest returns what a proof's digest covers before and after a body of this size. It makes the
// same bytes as scratch.proofInput, in two parts.
func (p parts) digest(size int, nonce []byte, receiver string) webcrypto.Digest {
	before := []byte(label.EnvelopeDigest)
	before = appendSized(appendSized(before, p.header), p.recipients)
	before = append(binary.BigEndian.AppendUint64(before, uint64(size)), nonce...)
	return webcrypto.Digest{Before: before, After: appendSized(nil, []byte(receiver))}
}

func appendSized(dst, field []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(len(field))), field...)
}
