package core

import (
	"context"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// expected reads four fields: address text, room text, role number, fingerprint
// text or nothing.
func (r *request) expected() trust.Expected {
	want := trust.Expected{Address: r.text(), Room: r.text(), Role: trust.Role(r.uint32())}
	if fp := r.text(); fp != "" {
		want.Fingerprint = r.fingerprint(fp)
	}
	if r.err == nil && want.Address == "" && want.Room == "" && want.Role != trust.RoleClient {
		r.fail(&Error{Code: "bad-argument", Message: "expected: name the address or the room that was meant"})
	}
	return want
}

func (r *request) fingerprint(text string) keys.Fingerprint {
	fp, err := keys.ParseFingerprint(text)
	if err != nil {
		r.fail(&Error{Code: "bad-argument", Message: err.Error()})
	}
	return fp
}

// peersCreate: nothing → known peers handle.
func (c *Core) peersCreate(r *request, out []byte) ([]byte, error) {
	if err := r.done(); err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, new(trust.KnownPeers))
}

// peersParse: bytes → known peers handle.
func (c *Core) peersParse(r *request, out []byte) ([]byte, error) {
	b := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	k, err := trust.ParseKnownPeers(b)
	if err != nil {
		return nil, err
	}
	return c.objects.appendHandle(out, k)
}

// peersVerify: known peers handle, expected, public identity handle → nothing.
func (c *Core) peersVerify(r *request, out []byte) ([]byte, error) {
	k, want, peer := required[*trust.KnownPeers](r), r.expected(), required[*keys.PublicIdentity](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return out, k.Verify(context.Background(), want, peer)
}

// peersAdmit: known peers handle, expected, public identity handle → nothing.
func (c *Core) peersAdmit(r *request, out []byte) ([]byte, error) {
	k, want, peer := required[*trust.KnownPeers](r), r.expected(), required[*keys.PublicIdentity](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return out, k.Admit(want, peer)
}

// peersForget: known peers handle, expected, fingerprint text → nothing.
func (c *Core) peersForget(r *request, out []byte) ([]byte, error) {
	k, want, root := required[*trust.KnownPeers](r), r.expected(), r.fingerprint(r.text())
	if err := r.done(); err != nil {
		return nil, err
	}
	return out, k.Forget(want, root)
}

// peersRevoke: known peers handle, public identity handle → nothing.
func (c *Core) peersRevoke(r *request, out []byte) ([]byte, error) {
	k, revocation := required[*trust.KnownPeers](r), required[*keys.PublicIdentity](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return out, k.Revoke(revocation)
}

// peersAdmitted: known peers handle, expected → fingerprint text …
func (c *Core) peersAdmitted(r *request, out []byte) ([]byte, error) {
	k, want := required[*trust.KnownPeers](r), r.expected()
	if err := r.done(); err != nil {
		return nil, err
	}
	for _, root := range k.Admitted(want) {
		out = appendText(out, root.String())
	}
	return out, nil
}

// peersBytes: known peers handle → bytes.
func (c *Core) peersBytes(r *request, out []byte) ([]byte, error) {
	k := required[*trust.KnownPeers](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return appendBytes(out, k.Bytes()), nil
}
