package core

import (
	"cmp"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/webcrypto"
)

// WebCrypto seals and opens the bodies of these messages: see package webcrypto. Between two
// steps JavaScript holds a handle, as of any object, and releases it. The last step removes the
// object, so that nothing is signed or claimed twice.

// sealBegin: as seal, with a number, the size of the plaintext, in its place → sealing handle,
// key bytes, nonce bytes, AAD bytes, before bytes, after bytes, head bytes, length number, padded
// number; the handle alone, 0, where only seal seals this.
func (c *Core) sealBegin(r *request, out []byte) ([]byte, error) {
	s, size := sealer(r), r.uint32()
	if err := cmp.Or(r.done(), fits(uint64(size))); err != nil {
		return nil, err
	}
	sealing, err := webcrypto.Seal(&s, int(size))
	if err != nil {
		return nil, sealFailed(err)
	}
	if sealing == nil {
		return appendUint32(out, 0), nil
	}
	if out, err = c.objects.appendHandle(out, sealing); err != nil {
		return nil, err
	}
	out = appendBody(out, sealing.Body)
	out = appendBytes(appendBytes(out, sealing.Before), sealing.After)
	out = appendBytes(out, sealing.Head)
	return appendUint32(appendUint32(out, sealing.Length), uint32(sealing.Padded)), nil
}

// sealEnd: sealing handle, digest bytes → tail bytes.
func (c *Core) sealEnd(r *request, out []byte) ([]byte, error) {
	sealing, digest := taken[*webcrypto.Sealing](r), r.fixed(32)
	if err := r.done(); err != nil {
		return nil, err
	}
	tail, err := sealing.Prove(digest)
	if err != nil {
		return nil, sealFailed(err)
	}
	return appendBytes(out, tail), nil
}

// openBegin: as open → opening handle, before bytes, after bytes, body's offset number, body's
// size number; the handle alone, 0, where only open opens this.
func (c *Core) openBegin(r *request, out []byte) ([]byte, error) {
	o, claims := opener(r)
	return c.begin(o, claims, r, out)
}

// openOwnBegin: as openOwn → as openBegin.
func (c *Core) openOwnBegin(r *request, out []byte) ([]byte, error) {
	return c.begin(ownOpener(r), new(claimTaker), r, out)
}

func (c *Core) begin(o envelope.Opener, claims *claimTaker, r *request, out []byte) ([]byte, error) {
	sealed := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	begun, err := webcrypto.Open(&o, sealed)
	if err != nil {
		return nil, err
	}
	if begun == nil {
		return appendUint32(out, 0), nil
	}
	opening := &opening{begun, claims}
	if out, err = c.objects.appendHandle(out, opening); err != nil {
		return nil, err
	}
	out = appendBytes(appendBytes(out, opening.Before), opening.After)
	return appendUint32(appendUint32(out, uint32(opening.At)), uint32(opening.Size)), nil
}

// openVerify: opening handle, digest bytes → key bytes, nonce bytes, AAD bytes, ciphertext's
// offset in the body number.
func (c *Core) openVerify(r *request, out []byte) ([]byte, error) {
	opening, digest := required[*opening](r), r.fixed(32)
	if err := r.done(); err != nil {
		return nil, err
	}
	body, err := opening.Verify(digest)
	if err != nil {
		return nil, err
	}
	return appendUint32(appendBody(out, body), uint32(body.Start)), nil
}

// openEnd: opening handle, padded plaintext bytes, empty where the body does not open → claim,
// header. The data is as long as its first 4 bytes say but for the top bit, and begins behind them.
func (c *Core) openEnd(r *request, out []byte) ([]byte, error) {
	opening, padded := taken[*opening](r), r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	_, header, err := opening.Finish(padded)
	if err != nil {
		return nil, err
	}
	return appendHeader(opening.claims.append(out), header.(envelope.Header)), nil
}

// An opening is under way, and takes its claim at the end.
type opening struct {
	*webcrypto.Opening
	claims *claimTaker
}

func appendBody(out []byte, b webcrypto.Body) []byte {
	return appendBytes(appendBytes(appendBytes(out, b.Key), b.Nonce), b.AAD)
}
