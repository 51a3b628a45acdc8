package envelope

import (
	"context"
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
//   - Shared, Party, Identity and From: sealed under the shared keyset, signed by From;
//   - Identity and Own: sealed and signed by Identity itself, and by nobody else.
//
// An Opener is safe for concurrent use while its fields are not changed.
type Opener struct {
	Identity  *keys.Identity       // who opens; messages that it sent itself are refused
	From      *keys.PublicIdentity // the expected sender; the caller's trust.Verifier has accepted it
	Shared    *keys.SharedKeyset
	Own       bool   // opens only what Identity sealed and listed itself for: one's own messages, from an archive
	Party     string // one's own name among the holders of Shared, the Sealer's ToParty
	FromParty string // the expected sender among them

	Context string // must equal the Sealer's

	// Archive lets messages under archived keys open too: messages from a store that
	// were sealed before a rotation. Without it they are refused: a message in transit
	// arrives before the overlap of the keys ends.
	Archive bool

	// MaxSize is the largest size of a sealed message or stream, in bytes. The Opener stops
	// reading a stream there. 0 stands for no limit: an envelope is in memory already.
	MaxSize int64

	// Replay refuses messages that were opened before, and those too old to tell. It may
	// be nil only with InsecureAllowReplay, for messages from a store that the caller
	// protects itself.
	Replay              ReplayCache
	InsecureAllowReplay bool

	// MaxAge is how long ago a message may have been sealed, by its sender's clock:
	// as long as it may wait in a queue. 0 stands for five minutes, or for no limit
	// where Replay is nil; the most is [MaxAgeLimit]. All Openers that share a
	// ReplayCache have the same MaxAge, so that none forgets what another accepts.
	//
	// The cache has to remember for MaxAge. Somebody who gets a retired signing key of
	// the sender can date a message back by MaxAge.
	//
	// The sender's key must have been valid when the message was sealed, by the statement in
	// From. That lists the keys that retired in the last 30 days, unless they are changed more
	// often than twice a day. It does not list a key that is newer: see [ReasonUnlisted]. A
	// message that waits across rotations may be sealed to a key that has been archived
	// meanwhile: set Archive.
	MaxAge time.Duration

	ctx context.Context // for Replay, see WithContext
}

// Open appends the plaintext of a sealed message to dst and returns it with the
// authenticated header. The spare capacity of dst must not overlap sealed. Open verifies the
// proof before it decrypts anything, and appends nothing unless every check passes.
//
// Every failure that a message can cause matches [ErrOpen] and has its text.
// [ErrReplayUnavailable] says that the message was not refused and can be opened
// later. Any other error means that the Opener cannot be used as it is.
func (o *Opener) Open(dst, sealed []byte) ([]byte, Header, error) {
	want, err := o.suite()
	if err != nil {
		return nil, Header{}, err
	}
	if overlap(dst, sealed) {
		return nil, Header{}, errOverlap
	}
	if o.MaxSize > 0 && int64(len(sealed)) > o.MaxSize {
		return nil, Header{}, fail(ReasonSize)
	}
	h, p, err := parse(sealed, o.FromParty, o.Context)
	if err != nil {
		return nil, Header{}, err
	}
	data, err := o.open(dst, want, &h, p)
	if err != nil {
		return nil, Header{}, err
	}
	return data, h, nil
}

func (o *Opener) open(dst []byte, want Suite, h *Header, p parts) ([]byte, error) {
	check, err := o.authenticate(want, h)
	if err != nil {
		return nil, err
	}
	w := getScratch()
	defer putScratch(w)
	if !check.verify(w.proofInput(envelopeProof.label(want), p, o.Party), p.proof) {
		return nil, fail(ReasonProof)
	}
	key, err := o.bodyKey(h, p)
	if err != nil {
		return nil, err
	}
	data, err := decrypt(dst, key, p.body, w.bodyAAD(p.header))
	if err != nil {
		return nil, err
	}
	if err := o.once(h); err != nil {
		clear(data[len(dst):])
		return nil, err
	}
	return data, nil
}

func (o *Opener) suite() (Suite, error) {
	if err := o.checkReplay(); err != nil {
		return 0, err
	}
	identity, shared := o.Identity != nil && o.Identity.Public() != nil, o.Shared != nil && o.Shared.Primary() != nil
	from, party, fromParty := o.From != nil, o.Party != "", o.FromParty != ""
	switch {
	case identity && from != o.Own && !shared && !party && !fromParty:
		return SuiteRecipients, o.checkFirst()
	case o.Own:
	case shared && identity && from && party && !fromParty:
		return SuiteSharedSigned, o.checkFirst()
	case shared && party && fromParty && o.Party != o.FromParty && !identity && !from:
		return SuiteShared, o.checkFirst()
	}
	return 0, errors.New("envelope: an Opener needs Identity and From; Shared, Party and another FromParty; Shared, Party, Identity and From; or Identity and Own; and nothing beside")
}

// bodyKey returns the one key that the message names.
func (o *Opener) bodyKey(h *Header, p parts) (bodyKey, error) {
	if h.Suite != SuiteRecipients {
		return o.pair(h)
	}
	content, err := unwrap(o.Identity, o.Archive, h, p.recipients, headerDigest(label.EnvelopeHeader, p.header))
	if err != nil {
		return nil, err
	}
	return content.body(), nil
}

func (o *Opener) pair(h *Header) (*keys.SharedKey, error) {
	pair, known := o.Shared.Key(keys.SharedKeyID(h.SealKey))
	switch {
	case !known:
		return nil, fail(ReasonNotForUs)
	case pair.Stage() == keys.StageArchived && !o.Archive:
		return nil, fail(ReasonRetired)
	}
	h.Retired = pair.Stage() > keys.StagePrimary
	return pair, nil
}

// decrypt opens the body into the spare capacity of dst and moves the data to its start.
func decrypt(dst []byte, key bodyKey, body, aad []byte) ([]byte, error) {
	padded, err := key.Open(dst, body, aad)
	if err != nil {
		return nil, fail(ReasonBody)
	}
	data, ok := unpad(padded[len(dst):])
	if !ok {
		clear(padded[len(dst):])
		return nil, fail(ReasonBody)
	}
	end := len(dst) + len(data)
	move(padded[len(dst):], data)
	clear(padded[end:]) // the end of the data still stands behind its copy
	return padded[:end], nil
}
