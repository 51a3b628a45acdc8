package envelope

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// Rewrap gives a message that From sealed earlier other recipients: all of To, and nobody
// else. It appends the new envelope to dst. It keeps the body, the message id, the time, the
// content type and the context, seals the content key again, and makes a fresh proof. From
// must have been among the recipients, or it could not read the content key. Context must
// be the message's. ContentType and Padding are not used.
//
// The content key stays the same: a recipient that Rewrap removes can still read a copy
// that it kept. Rewrap is for messages that are stored: an Opener with a [ReplayGuard]
// refuses the new envelope as opened before, or as too old.
//
// Its error matches [ErrOpen] if sealed is not an intact message of From's.
func (s *Sealer) Rewrap(dst, sealed []byte) ([]byte, error) {
	if overlap(dst, sealed) {
		return nil, errOverlap
	}
	if err := s.checkRewrap(); err != nil {
		return nil, err
	}
	h, p, err := parse(sealed, "", s.Context)
	if err != nil {
		return nil, err
	}
	w := getScratch()
	defer putScratch(w)
	by, err := s.rewrapper(&h, func(check checker) bool {
		return check.verify(w.proofInput(envelopeProof.signed, p, ""), p.proof)
	})
	if err != nil {
		return nil, err
	}
	if p.recipients, err = s.rewrapKey(&h, p.recipients, headerDigest(label.EnvelopeHeader, p.header)); err != nil {
		return nil, err
	}
	dst = appendHead(slices.Grow(dst, p.room(len(p.body), h.Suite)), p, len(p.body))
	dst = append(dst, p.body...)
	return by.appendBin(dst, h.Suite, w.proofInput(envelopeProof.signed, p, ""))
}

// RewrapStream does with a stream what [Sealer.Rewrap] does with an envelope: it
// reads the stream from src and writes it to dst with another head. Only the head
// is verified. The rest is copied: its own proof shows any change to an Opener.
func (s *Sealer) RewrapStream(dst io.Writer, src io.Reader) error {
	if err := s.checkRewrap(); err != nil {
		return err
	}
	if dst == nil {
		return errNil("io.Writer")
	}
	in, err := readStream(src, "", s.Context, 0)
	if err != nil {
		return err
	}
	by, err := s.rewrapper(&in.Header, func(check checker) bool { return in.opens(check, "") })
	if err != nil {
		return err
	}
	head := in.head
	if head.recipients, err = s.rewrapKey(&in.Header, head.recipients, head.digest()); err != nil {
		return err
	}
	w := getScratch()
	defer putScratch(w)
	if head.proof, err = by.append(nil, w.openingInput(openingProof.signed, head, "")); err != nil {
		return err
	}
	if _, err := dst.Write(head.append(nil)); err != nil {
		return err
	}
	_, err = io.Copy(dst, in.src)
	return err
}

func (s *Sealer) checkRewrap() error {
	if suite, err := s.suite(); err != nil {
		return err
	} else if suite != SuiteRecipients {
		return errors.New("envelope: only messages to recipients are sealed again for others: a Sealer needs From and To")
	}
	return s.check(time.Now())
}

// rewrapper returns the prover that signs the message again, after it has verified that From
// signed it before. It uses the key that the header names, since the body's associated data
// covers that name.
func (s *Sealer) rewrapper(h *Header, verify func(checker) bool) (prover, error) {
	if h.Suite != SuiteRecipients {
		return prover{}, fail(ReasonSuite)
	}
	check, err := authenticateSigned(s.From.Public(), s.Context, h)
	if err != nil {
		return prover{}, err
	}
	if !verify(check) {
		return prover{}, fail(ReasonProof)
	}
	signer, held := s.From.SignerOf(h.ProofKey)
	if !held {
		return prover{}, fmt.Errorf("envelope: the signing key of this message is gone: seal its content again: %w", keys.ErrDetached)
	}
	return prover{signer: signer}, nil
}

func (s *Sealer) rewrapKey(h *Header, recipients, digest []byte) ([]byte, error) {
	content, err := unwrap(s.From, true, h, recipients, digest)
	if err != nil {
		return nil, err
	}
	return content.wrap(s.To, digest)
}
