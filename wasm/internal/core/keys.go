package core

import (
	"bytes"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// identityGenerate: name text → identity handle, public identity.
func (c *Core) identityGenerate(r *request, out []byte) ([]byte, error) {
	name := r.text()
	if err := r.done(); err != nil {
		return nil, err
	}
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		return nil, err
	}
	return c.appendIdentity(out, id)
}

// identityParse: cleartext bytes → identity handle, public identity. A keyset keeps
// parts of what it is read from, and the staging buffer is about to change: hence
// the copy.
func (c *Core) identityParse(r *request, out []byte) ([]byte, error) {
	b := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	id, err := keys.ParseCleartextIdentity(bytes.Clone(b), insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	return c.appendIdentity(out, id)
}

// identityMarshal: identity handle → cleartext bytes. It is there for the store,
// which wraps them at once, and for the module whose path says "insecure".
func (c *Core) identityMarshal(r *request, out []byte) ([]byte, error) {
	id := required[*keys.Identity](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	secret, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return appendBytes(out, secret), nil
}

// identityRenew: identity handle → public identity.
func (c *Core) identityRenew(r *request, out []byte) ([]byte, error) {
	id := required[*keys.Identity](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	if err := id.Renew(); err != nil {
		return nil, err
	}
	return c.appendPublic(out, id.Public())
}

// publicParse: bytes → public identity.
func (c *Core) publicParse(r *request, out []byte) ([]byte, error) {
	b := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	p, err := keys.ParsePublic(b)
	if err != nil {
		return nil, err
	}
	return c.appendPublic(out, p)
}

func (c *Core) appendIdentity(out []byte, id *keys.Identity) ([]byte, error) {
	h, err := c.objects.add(id)
	if err != nil {
		return nil, err
	}
	if out, err = c.appendPublic(appendUint32(out, h), id.Public()); err != nil {
		c.objects.remove(h)
	}
	return out, err
}

// appendPublic: handle, bytes, name text, fingerprint text, serial, issued time,
// expires time, revoked number.
func (c *Core) appendPublic(out []byte, p *keys.PublicIdentity) ([]byte, error) {
	out, err := c.objects.appendHandle(out, p)
	if err != nil {
		return nil, err
	}
	return appendIdentity(out, p), nil
}

// appendPeer is appendPublic without a handle, for an identity that JavaScript may never pass back: there
// are as many as sessions, and questions about them. From the bytes it makes another where it does.
func appendPeer(out []byte, p *keys.PublicIdentity) []byte {
	return appendIdentity(appendUint32(out, 0), p)
}

func appendIdentity(out []byte, p *keys.PublicIdentity) []byte {
	out = appendBytes(out, p.Bytes())
	out = appendText(out, p.Name())
	out = appendText(out, p.Fingerprint().String())
	out = appendUint64(out, p.Serial())
	out = appendTime(out, p.Issued())
	out = appendTime(out, p.Expires())
	revoked := uint32(0)
	if p.Revoked() {
		revoked = 1
	}
	return appendUint32(out, revoked)
}

// sharedGenerate: nothing → shared keyset handle.
func (c *Core) sharedGenerate(r *request, out []byte) ([]byte, error) {
	if err := r.done(); err != nil {
		return nil, err
	}
	s, err := keys.GenerateSharedKeyset()
	if err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, s)
}

// sharedParse: cleartext bytes → shared keyset handle.
func (c *Core) sharedParse(r *request, out []byte) ([]byte, error) {
	b := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	s, err := keys.ParseCleartextSharedKeyset(bytes.Clone(b), insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, s)
}

// sharedMarshal: shared keyset handle → cleartext bytes.
func (c *Core) sharedMarshal(r *request, out []byte) ([]byte, error) {
	s := required[*keys.SharedKeyset](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	secret, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return appendBytes(out, secret), nil
}
