package core

import (
	"bytes"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/pagestore"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// A kept is what was asked for last to be saved, so that the next time only what changed is.
// The store saves it whole, and then the claims of the guard one after the other.
type kept struct {
	identity *keys.Identity
	public   *keys.PublicIdentity // of the identity: every step of it makes another one
	peers    any                  // their state
	guard    *envelope.ReplayGuard
	log      *pagestore.Log
}

// What there is to save.
const (
	keptNothing = iota
	keptClaims
	keptWhole
)

// keptCreate: nothing → kept handle.
func (c *Core) keptCreate(r *request, out []byte) ([]byte, error) {
	if err := r.done(); err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, new(kept))
}

// keptChanges: kept handle, identity handle, known peers handle, replay guard handle or none,
// whether all is wanted number → what there is to save number, bytes.
func (c *Core) keptChanges(r *request, out []byte) ([]byte, error) {
	k, identity, peers := required[*kept](r), required[*keys.Identity](r), required[*trust.KnownPeers](r)
	guard, all := object[*envelope.ReplayGuard](r), r.uint32()
	if err := r.done(); err != nil {
		return nil, err
	}
	now := kept{identity, identity.Public(), pagestore.Peers(peers), guard, k.log}
	if all == 0 && now == *k {
		if guard == nil {
			return appendBytes(appendUint32(out, keptNothing), nil), nil
		}
		if claims, ok := pagestore.Take(guard, k.log); ok {
			return appendBytes(appendUint32(out, uint32(min(len(claims), keptClaims))), claims), nil
		}
	}
	if guard != nil {
		now.log = pagestore.Follow(guard)
	}
	b, err := appendContent(nil, identity, peers, guard)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	*k = now
	return appendBytes(appendUint32(out, keptWhole), b), nil
}

const (
	contentVersion = 2
	maxContent     = 1 << 30
)

// appendContent appends what a record holds, once it has read it: what was saved under a wrong
// clock must not be unreadable for ever.
//
//	array(4) [ version=2, identity bin, known peers bin, replay guard bin | nil ]
func appendContent(dst []byte, identity *keys.Identity, peers *trust.KnownPeers, guard *envelope.ReplayGuard) ([]byte, error) {
	secret, err := identity.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	dst = strict.AppendUint(strict.AppendArray(dst, 4), contentVersion)
	dst = strict.AppendBin(strict.AppendBin(dst, secret), peers.Bytes())
	if guard == nil {
		dst = strict.AppendNil(dst)
	} else {
		dst = strict.AppendBin(dst, guard.Bytes())
	}
	if _, _, _, err := parseContent(dst); err != nil {
		return nil, &Error{Code: "bad-argument", Message: "this cannot be stored, since it could not be read again: the clock shows a time that is out of range"}
	}
	return dst, nil
}

func parseContent(b []byte) (identity *keys.Identity, peers *trust.KnownPeers, guard *envelope.ReplayGuard, err error) {
	r := strict.NewReader(b)
	r.Array(4)
	version, secret, known := r.Uint(), r.Bin(1, maxContent), r.Bin(1, maxContent)
	if !r.Nil() {
		if guard, err = envelope.ParseReplayGuard(r.Bin(1, maxContent)); err != nil {
			return nil, nil, nil, err
		}
	}
	if r.Done() != nil || version != contentVersion {
		return nil, nil, nil, strict.ErrMalformed
	}
	if identity, err = keys.ParseCleartextIdentity(bytes.Clone(secret), insecurecleartext.Token{}); err != nil {
		return nil, nil, nil, err
	}
	peers, err = trust.ParseKnownPeers(known)
	return identity, peers, guard, err
}

// keptParse: bytes, claims bytes → identity handle, public identity, known peers handle, replay
// guard handle or 0.
func (c *Core) keptParse(r *request, out []byte) ([]byte, error) {
	b, claims := r.bytes(), r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	identity, peers, guard, err := parseContent(b)
	if err == nil && guard != nil {
		err = pagestore.Apply(guard, claims)
	}
	if err != nil {
		return nil, &Error{Code: "invalid", Message: err.Error()}
	}
	if out, err = c.appendIdentity(out, identity); err != nil {
		return nil, err
	}
	if out, err = c.objects.appendHandle(out, peers); err != nil || guard == nil {
		return appendUint32(out, 0), err
	}
	return c.objects.appendHandle(out, guard)
}
