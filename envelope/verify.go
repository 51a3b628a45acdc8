package envelope

import (
	"errors"
	"io"

	"github.com/hopseal/hopseal/keys"
)

// A Verifier checks who sealed a message, and cannot read it. It is for a gateway that
// refuses forgeries and holds no secret. It takes messages that are signed, and none with an
// HMAC: whoever can verify an HMAC can forge one.
//
// A gateway with many senders reads with [Inspect] which sender to verify. A Verifier does
// not know which messages were opened before: the Opener refuses replays.
//
// A Verifier is safe for concurrent use while its fields are not changed.
type Verifier struct {
	From    *keys.PublicIdentity // the expected sender; the caller's trust.Verifier has accepted it
	ToParty string               // the Sealer's, for messages under a shared keyset, else empty
	Context string               // must equal the Sealer's
	MaxSize int64                // see [Opener]
}

// Verify checks that a message's proof is From's and returns its header. The proof covers
// header, recipients and sealed body. Verify has the errors of [Opener.Open].
func (v *Verifier) Verify(sealed []byte) (Header, error) {
	if v.MaxSize > 0 && int64(len(sealed)) > v.MaxSize {
		return Header{}, fail(ReasonSize)
	}
	h, p, err := parse(sealed, "", v.Context)
	if err != nil {
		return Header{}, err
	}
	check, err := v.authenticate(&h)
	if err != nil {
		return Header{}, err
	}
	w := getScratch()
	defer putScratch(w)
	if !check.verify(w.proofInput(envelopeProof.signed, p, v.ToParty), p.proof) {
		return Header{}, fail(ReasonProof)
	}
	if !wellFormed(p.recipients) {
		return Header{}, fail(ReasonMalformed)
	}
	return h, nil
}

// VerifyStream reads a stream to its end, checks that both its proofs are From's, and
// returns its header. Then the stream is complete and as it was sealed.
func (v *Verifier) VerifyStream(src io.Reader) (Header, error) {
	s, err := readStream(src, "", v.Context, v.MaxSize)
	if err != nil {
		return Header{}, err
	}
	check, err := v.authenticate(&s.Header)
	if err != nil {
		return Header{}, err
	}
	if !s.opens(check, v.ToParty) {
		return Header{}, fail(ReasonProof)
	}
	if !wellFormed(s.head.recipients) {
		return Header{}, fail(ReasonMalformed)
	}
	digest := newStreamDigest(s.head.digest(), v.ToParty)
	for last := false; !last; {
		var segment []byte
		if segment, last, err = s.next(); err != nil {
			return Header{}, err
		}
		digest.add(segment)
	}
	if !s.ends(check, digest) {
		return Header{}, fail(ReasonProof)
	}
	return s.Header, nil
}

// wellFormed reports whether a recipients field is well formed, or absent.
func wellFormed(recipients []byte) bool {
	return recipients == nil || eachRecipient(recipients, func(keys.SealingKeyID, []byte) {})
}

func (v *Verifier) authenticate(h *Header) (checker, error) {
	if v.From == nil {
		return checker{}, errors.New("envelope: a Verifier needs From")
	}
	want := SuiteRecipients
	if v.ToParty != "" {
		want = SuiteSharedSigned
	}
	if h.Suite != want {
		return checker{}, fail(ReasonSuite)
	}
	return authenticateSigned(v.From, v.Context, h)
}
