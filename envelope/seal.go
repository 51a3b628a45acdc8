package envelope

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/gcm"
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

	Padding Padding // which lengths look alike, Padmé unless set
}

var errTooLong = errors.New("envelope: a message has less than 2 GiB: use NewWriter")

// Seal appends the envelope of plaintext to dst. The spare capacity of dst must not overlap
// plaintext. Seal returns an error only if the Sealer's fields or the plaintext do not allow
// it, or if its keys do not: an external signer fails, or a key has sealed all that it may.
func (s *Sealer) Seal(dst, plaintext []byte) ([]byte, error) {
	if overlap(dst, plaintext) {
		return nil, errOverlap
	}
	if len(plaintext) > maxPlaintext {
		return nil, errTooLong
	}
	m, err := s.begin()
	if err != nil {
		return nil, err
	}
	size, length, err := s.Padding.padded(len(plaintext))
	if err != nil {
		return nil, err
	}
	w := getScratch()
	defer putScratch(w)
	w.header = m.append(w.header[:0])
	p := parts{header: w.header}
	if p.recipients, err = m.wrap(s.To, label.EnvelopeHeader, p.header); err != nil {
		return nil, err
	}
	key := m.bodyKey()
	body := key.Overhead() + size
	dst = appendHead(slices.Grow(dst, p.room(body, m.Suite)), p, body)
	if dst, p.body, err = appendBody(dst, plaintext, size, length, key, w.bodyAAD(p.header)); err != nil {
		return nil, err
	}
	return m.by.appendBin(dst, m.Suite, w.proofInput(envelopeProof.label(m.Suite), p, s.ToParty))
}

// room returns a number of bytes that is enough for an envelope with a body of this size.
func (p parts) room(body int, s Suite) int {
	return len(p.header) + len(p.recipients) + body + s.proofSize() + maxFraming
}

// appendHead appends all that stands before a body of this size.
func appendHead(dst []byte, p parts, body int) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 5), version)
	dst = strict.AppendBin(dst, p.header)
	dst = appendRecipients(dst, p.recipients)
	return strict.AppendBinHead(dst, body)
}

func appendRecipients(dst, recipients []byte) []byte {
	if recipients == nil {
		return strict.AppendNil(dst)
	}
	return strict.AppendBin(dst, recipients)
}

// appendBody pads the plaintext where its ciphertext will stand and seals it in
// place. It returns dst and the body in it.
func appendBody(dst, plaintext []byte, size int, length uint32, key bodyKey, aad []byte) (out, body []byte, err error) {
	start, nonce := len(dst), key.Overhead()-gcm.TagSize
	padded := appendPadded(dst[:start+nonce], plaintext, size, length)[start+nonce:]
	if dst, err = key.Seal(dst, padded, aad); err != nil {
		clear(padded)
		return nil, nil, err
	}
	return dst, dst[start:], nil
}

// outgoing is a message that is being sealed.
type outgoing struct {
	Header
	pair    *keys.SharedKey // seals the body in the shared suites
	content contentKey      // seals the body in SuiteRecipients
	by      prover
}

// begin checks the Sealer and makes the header and the keys of a new message.
func (s *Sealer) begin() (m outgoing, err error) {
	m.Header = Header{Time: time.Now(), ContentType: s.ContentType, Context: s.Context}
	if m.Suite, err = s.suite(); err != nil {
		return outgoing{}, err
	}
	if err := s.check(m.Time); err != nil {
		return outgoing{}, err
	}
	m.ID = newMessageID()
	if m.Suite == SuiteRecipients {
		m.content = newContentKey()
		m.SealKey = m.content.id()
	} else {
		m.pair = s.Shared.Primary()
		m.SealKey = SealKeyID(m.pair.ID())
	}
	if m.Suite == SuiteShared {
		m.Party, m.by.pair = s.Party, m.pair
	} else {
		m.Sender = s.From.Fingerprint()
		m.ProofKey, m.by.signer = s.From.Signing()
	}
	return m, nil
}

// wrap returns the recipients field, nil in the shared suites.
func (m *outgoing) wrap(to []*keys.PublicIdentity, l label.Label, header []byte) ([]byte, error) {
	if m.Suite != SuiteRecipients {
		return nil, nil
	}
	return m.content.wrap(to, headerDigest(l, header))
}

func (m *outgoing) bodyKey() bodyKey {
	if m.Suite == SuiteRecipients {
		return m.content.body()
	}
	return m.pair
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

func (s *Sealer) check(now time.Time) error {
	switch {
	case len(s.Party) > MaxPartySize || len(s.ToParty) > MaxPartySize || len(s.ContentType) > MaxContentTypeSize || len(s.Context) > MaxContextSize:
		return errors.New("envelope: Party, ContentType or Context is too long")
	case !utf8.ValidString(s.Party) || !utf8.ValidString(s.ToParty) || !utf8.ValidString(s.ContentType) || !utf8.ValidString(s.Context):
		return errors.New("envelope: Party, ContentType or Context is not UTF-8")
	case now.UnixMilli() < 0 || now.UnixMilli() >= maxTime:
		return errors.New("envelope: this machine's clock shows a time that no message can have: set it")
	case len(s.To) > MaxRecipients:
		return fmt.Errorf("envelope: at most %d recipients", MaxRecipients)
	}
	if s.From != nil {
		if err := s.From.Check(now); err != nil {
			return fmt.Errorf("envelope: Sealer.From: %w", err)
		}
	}
	for i, p := range s.To {
		if err := sealable(i, p, now); err != nil {
			return err
		}
	}
	return s.Padding.check()
}

// sealable returns nil if recipient i is in use at this time, with the key that it lists, and else
// an error that says why not. The recipient's clock may be ahead.
func sealable(i int, p *keys.PublicIdentity, now time.Time) error {
	switch {
	case p == nil:
		return fmt.Errorf("envelope: recipient %d is missing", i)
	case p.Revoked():
		return fmt.Errorf("envelope: recipient %d has been revoked: ask it for its new identity", i)
	case !now.Before(p.Expires()):
		return fmt.Errorf("envelope: the statement of recipient %d expired at %s: ask it for its current identity, and check this clock",
			i, p.Expires().UTC().Format(time.RFC3339))
	case p.Issued().After(now.Add(keys.ClockSkew)):
		return fmt.Errorf("envelope: the statement of recipient %d is from the future, %s: ask it for its current identity, and check this clock",
			i, p.Issued().UTC().Format(time.RFC3339))
	case !p.RecipientKey().ValidAt(now) && !p.RecipientKey().ValidAt(now.Add(keys.ClockSkew)):
		return fmt.Errorf("envelope: the sealing key of recipient %d is not in use at this time: check both clocks", i)
	}
	return nil
}
