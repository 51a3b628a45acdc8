package envelope

import (
	"crypto/subtle"
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// An Opener opens messages from one expected sender. Which fields are set
// decides what it accepts, as for a [Sealer]:
//
//   - Identity and From: sealed to Identity and signed by From;
//   - Shared, Party and FromParty: sealed and MACed under the shared keyset;
//   - Shared, Party, Identity and From: sealed under the shared keyset, signed by From.
//
// An Opener is safe for concurrent use while its fields are not changed.
type Opener struct {
	Identity  *keys.Identity       // who opens; its own messages, returned, are refused
	From      *keys.PublicIdentity // the expected sender, trusted by the caller's Verifier
	Shared    *keys.SharedKeyset
	Party     string // one's own name among the holders of Shared, the Sealer's ToParty
	FromParty string // the expected sender among them

	Context string // must equal the Sealer's

	// Archive opens messages under keys that have been archived too: for messages
	// from a store, sealed before a rotation. In transit such a message is late
	// beyond the overlap, and refused.
	Archive bool

	// Replay refuses what was opened before, and what is too old to tell. It
	// may be nil only with InsecureAllowReplay, for messages from a store that
	// the caller itself protects.
	Replay              *ReplayGuard
	InsecureAllowReplay bool
}

// Open appends the plaintext of a sealed message to dst and returns it with the
// authenticated header. The spare capacity of dst must not overlap sealed. The proof is verified
// before anything is decrypted; nothing is appended unless everything holds.
//
// Every failure that a message can cause matches [ErrOpen] and has its text. Any
// other error means that the Opener cannot be used as it is.
func (o *Opener) Open(dst, sealed []byte) ([]byte, Header, error) {
	want, err := o.suite()
	if err != nil {
		return nil, Header{}, err
	}
	if overlap(dst, sealed) {
		return nil, Header{}, errOverlap
	}
	p, err := parseParts(sealed)
	if err != nil {
		return nil, Header{}, err
	}
	h, err := parseHeader(p.header)
	if err != nil {
		return nil, Header{}, err
	}
	if err := o.authenticate(want, h, p); err != nil {
		return nil, Header{}, err
	}
	data, err := o.decrypt(dst, h, p)
	if err != nil {
		return nil, Header{}, err
	}
	if o.Replay != nil {
		if err := o.Replay.accept(h, time.Now()); err != nil {
			clear(data[len(dst):])
			return nil, Header{}, err
		}
	}
	return data, h, nil
}

func (o *Opener) suite() (Suite, error) {
	if o.Replay == nil && !o.InsecureAllowReplay {
		return 0, errors.New("envelope: an Opener needs a Replay guard")
	}
	identity, shared := o.Identity != nil && o.Identity.Public() != nil, o.Shared != nil && o.Shared.Primary() != nil
	from, party, fromParty := o.From != nil, o.Party != "", o.FromParty != ""
	switch {
	case identity && from && !shared && !party && !fromParty:
		return SuiteRecipients, nil
	case shared && identity && from && party && !fromParty:
		return SuiteSharedSigned, nil
	case shared && party && fromParty && o.Party != o.FromParty && !identity && !from:
		return SuiteShared, nil
	}
	return 0, errors.New("envelope: an Opener needs Identity and From; Shared, Party and another FromParty; or Shared, Party, Identity and From; and nothing beside")
}

// authenticate checks all that is in the clear, and then the proof over it.
func (o *Opener) authenticate(want Suite, h Header, p parts) error {
	switch {
	case h.Suite != want:
		return fail(ReasonSuite)
	case (h.Suite == SuiteRecipients) != (p.recipients != nil):
		return fail(ReasonMalformed)
	}
	if h.Suite == SuiteShared {
		return o.authenticateShared(h, p)
	}
	key, known := o.From.VerifyingKeyByID(h.ProofKey)
	switch {
	case h.Sender == o.Identity.Fingerprint():
		return fail(ReasonReflected)
	case h.Sender != o.From.Fingerprint():
		return fail(ReasonSender)
	case h.Context != o.Context:
		return fail(ReasonContext)
	case !known || !key.ValidAt(h.Time) || !h.Time.Before(o.From.Expires()) ||
		!key.Verify(proofInput(label.EnvelopeProof, p, o.Party), p.proof):
		return fail(ReasonProof)
	}
	return nil
}

func (o *Opener) authenticateShared(h Header, p parts) error {
	key, known := o.Shared.Key(keys.SharedKeyID(h.SealKey))
	switch {
	case h.Party == o.Party:
		return fail(ReasonReflected)
	case h.Party != o.FromParty:
		return fail(ReasonSender)
	case h.Context != o.Context:
		return fail(ReasonContext)
	case !known:
		return fail(ReasonNotForUs)
	case !key.VerifyMAC(proofInput(label.EnvelopeProofKeyed, p, o.Party), p.proof):
		return fail(ReasonProof)
	}
	return nil
}

// decrypt opens the body in the room after dst and moves the data to its start.
func (o *Opener) decrypt(dst []byte, h Header, p parts) ([]byte, error) {
	padded, err := o.openBody(dst, h, p)
	if err != nil {
		return nil, err
	}
	data, ok := unpad(padded[len(dst):])
	if !ok {
		clear(padded[len(dst):])
		return nil, fail(ReasonBody)
	}
	n := copy(padded[len(dst):], data)
	clear(padded[len(dst)+n:]) // the end of the data still stands behind its copy
	return padded[:len(dst)+n], nil
}

func (o *Opener) openBody(dst []byte, h Header, p parts) ([]byte, error) {
	if h.Suite != SuiteRecipients {
		key, known := o.Shared.Key(keys.SharedKeyID(h.SealKey))
		if !known {
			return nil, fail(ReasonNotForUs)
		}
		if !o.accepts(key.Stage()) {
			return nil, fail(ReasonRetired)
		}
		padded, err := key.Open(dst, p.body, bodyAAD(p.header))
		if err != nil {
			return nil, fail(ReasonBody)
		}
		return padded, nil
	}
	content, err := o.unwrap(h, p)
	if err != nil {
		return nil, err
	}
	aead, id := contentKeys(content)
	if subtle.ConstantTimeCompare(id[:], h.SealKey[:]) != 1 {
		return nil, fail(ReasonKey)
	}
	if len(p.body) < gcmNonceSize+gcmTagSize {
		return nil, fail(ReasonBody)
	}
	padded, err := aead.Open(dst, p.body[:gcmNonceSize], p.body[gcmNonceSize:], bodyAAD(p.header))
	if err != nil {
		return nil, fail(ReasonBody)
	}
	return padded, nil
}

// unwrap finds the Opener's entry among the recipients, which the proof covers,
// and opens the content key in it. Only this one entry is tried.
func (o *Opener) unwrap(h Header, p parts) ([]byte, error) {
	var ours keys.SealingKeyID
	var stage keys.Stage
	var sealed []byte
	wellFormed := eachRecipient(p.recipients, func(id keys.SealingKeyID, s []byte) {
		if at, held := o.Identity.SealingKey(id); held && sealed == nil {
			ours, stage, sealed = id, at, s
		}
	})
	if !wellFormed {
		return nil, fail(ReasonMalformed)
	}
	if sealed == nil {
		return nil, fail(ReasonNotForUs)
	}
	if !o.accepts(stage) {
		return nil, fail(ReasonRetired)
	}
	content, err := o.Identity.UnsealKey(ours, recipientInfo(headerDigest(p.header), o.Identity.Fingerprint(), ours), sealed)
	if err != nil || len(content) != contentSize {
		return nil, fail(ReasonKey)
	}
	return content, nil
}

// accepts reports whether keys of that stage open here.
func (o *Opener) accepts(s keys.Stage) bool { return o.Archive || s != keys.StageArchived }
