package core

import (
	"cmp"
	"context"
	"time"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/pagestore"
	"github.com/hopseal/hopseal/keys"
)

// guardCreate: identity handle, shared keyset handle, one of them or none → replay
// guard handle.
func (c *Core) guardCreate(r *request, out []byte) ([]byte, error) {
	identity, shared := object[*keys.Identity](r), object[*keys.SharedKeyset](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	g := envelope.FirstReplayGuard(identity)
	if shared != nil {
		g = envelope.FirstReplayGuard(shared)
	}
	return c.objects.appendHandle(out, g)
}

// guardParse: bytes → replay guard handle.
func (c *Core) guardParse(r *request, out []byte) ([]byte, error) {
	b := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	g, err := envelope.ParseReplayGuard(b)
	if err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, g)
}

// guardWithdraw: replay guard handle, sender's fingerprint text, message id bytes → nothing. It
// takes back the claim of a message to identities that nobody has seen.
func (c *Core) guardWithdraw(r *request, out []byte) ([]byte, error) {
	g, sender := required[*envelope.ReplayGuard](r), r.fingerprint(r.text())
	h := envelope.Header{Suite: envelope.SuiteRecipients, Sender: sender}
	copy(h.ID[:], r.fixed(len(h.ID)))
	if err := r.done(); err != nil {
		return nil, err
	}
	pagestore.Withdraw(g, h)
	return out, nil
}

// guardBytes: replay guard handle → bytes.
func (c *Core) guardBytes(r *request, out []byte) ([]byte, error) {
	g := required[*envelope.ReplayGuard](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return appendBytes(out, g.Bytes()), nil
}

// seal: from identity handle, to handles, shared keyset handle, party text, to
// party text, content type text, context text, plaintext bytes → envelope bytes.
func (c *Core) seal(r *request, out []byte) ([]byte, error) {
	s := sealer(r)
	plaintext := r.bytes()
	if err := cmp.Or(r.done(), fits(uint64(len(plaintext)))); err != nil {
		return nil, err
	}
	return appendWith(out, func(dst []byte) ([]byte, error) {
		dst, err := s.Seal(dst, plaintext)
		if err != nil {
			return nil, sealFailed(err)
		}
		return dst, nil
	})
}

// fits refuses a plaintext whose envelope would be larger than open takes.
func fits(size uint64) error {
	if size > MaxPlaintext {
		return &Error{Code: "too-large", Message: "a message has at most 64 MiB"}
	}
	return nil
}

// sealer reads the fields of seal, up to the plaintext.
func sealer(r *request) envelope.Sealer {
	return envelope.Sealer{
		From: object[*keys.Identity](r), To: list[*keys.PublicIdentity](r),
		Shared: object[*keys.SharedKeyset](r), Party: r.text(), ToParty: r.text(),
		ContentType: r.text(), Context: r.text(),
	}
}

// sealFailed gives an error of Seal its code: an expired identity has one of its own.
func sealFailed(err error) error {
	if e := asError(err); e.Code == "identity-expired" {
		return e
	}
	return &Error{Code: "seal-failed", Message: err.Error()}
}

// open: identity handle, from public identity handle, shared keyset handle, party
// text, from party text, context text, max age in milliseconds number, replay guard
// handle or none, envelope bytes → data bytes, claim, header.
//
// Without a guard JavaScript gives nothing out before its own replay cache, asked with
// the claim, has said yes.
func (c *Core) open(r *request, out []byte) ([]byte, error) {
	o, claims := opener(r)
	return openWith(o, claims, r, out)
}

// openOwn: identity handle, context text, envelope bytes → as open, without a claim. It opens what
// the identity itself has sealed, as often as asked.
func (c *Core) openOwn(r *request, out []byte) ([]byte, error) {
	return openWith(ownOpener(r), new(claimTaker), r, out)
}

func ownOpener(r *request) envelope.Opener {
	return envelope.Opener{Identity: object[*keys.Identity](r), Context: r.text(), Own: true, Archive: true, InsecureAllowReplay: true}
}

func openWith(o envelope.Opener, claims *claimTaker, r *request, out []byte) ([]byte, error) {
	sealed := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	var header envelope.Header
	out, err := appendWith(out, func(dst []byte) (_ []byte, err error) {
		dst, header, err = o.Open(dst, sealed)
		return dst, err
	})
	if err != nil {
		return nil, err
	}
	return appendHeader(claims.append(out), header), nil
}

// opener reads the fields of open, up to the envelope.
func opener(r *request) (envelope.Opener, *claimTaker) {
	o, claims := envelope.Opener{
		Identity: object[*keys.Identity](r), From: object[*keys.PublicIdentity](r),
		Shared: object[*keys.SharedKeyset](r), Party: r.text(), FromParty: r.text(),
		Context: r.text(), MaxAge: time.Duration(r.uint32()) * time.Millisecond,
	}, new(claimTaker)
	if guard := object[*envelope.ReplayGuard](r); guard != nil {
		o.Replay = guard
	} else {
		o.Replay = claims
	}
	return o, claims
}

// A claimTaker keeps a claim for whoever decides.
type claimTaker struct{ taken envelope.ReplayClaim }

func (t *claimTaker) Claim(_ context.Context, c envelope.ReplayClaim) (bool, error) {
	t.taken = c
	return true, nil
}

// append: replay key bytes, until time; of no meaning where a guard has decided.
func (t *claimTaker) append(out []byte) []byte {
	return appendTime(appendBytes(out, t.taken.Key[:]), t.taken.Until)
}

// inspect: envelope bytes → header, recipients bytes (32 each), and for every section
// name text, offset number, size number.
func (c *Core) inspect(r *request, out []byte) ([]byte, error) {
	sealed := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	in, err := envelope.Inspect(sealed)
	if err != nil {
		return nil, err
	}
	out = appendHeader(out, in.Header)
	recipients := make([]byte, 0, 32*len(in.Recipients))
	for _, id := range in.Recipients {
		recipients = append(recipients, id[:]...)
	}
	out = appendBytes(out, recipients)
	for _, p := range in.Sections() {
		out = appendText(out, p.Name)
		out = appendUint32(appendUint32(out, uint32(p.Offset)), uint32(p.Size))
	}
	return out, nil
}

var suiteNames = map[envelope.Suite]string{
	envelope.SuiteShared:       "shared",
	envelope.SuiteSharedSigned: "shared-signed",
	envelope.SuiteRecipients:   "recipients",
}

// appendHeader: suite text, sender text, party text, seal key bytes, proof key
// bytes, id bytes, time, content type text, context text. Sender and proof key
// are empty in the suite that has none.
func appendHeader(out []byte, h envelope.Header) []byte {
	out = appendText(out, suiteNames[h.Suite])
	sender, proofKey := "", []byte(nil)
	if h.Suite != envelope.SuiteShared {
		sender, proofKey = h.Sender.String(), h.ProofKey[:]
	}
	out = appendText(out, sender)
	out = appendText(out, h.Party)
	out = appendBytes(out, h.SealKey[:])
	out = appendBytes(out, proofKey)
	out = appendBytes(out, h.ID[:])
	out = appendTime(out, h.Time)
	out = appendText(out, h.ContentType)
	return appendText(out, h.Context)
}
