//go:build !js

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// fingerprintResult names an identity.
type fingerprintResult struct{ identityResult }

func (r fingerprintResult) text(w io.Writer) { fmt.Fprintln(w, r.Fingerprint) }

func keyFingerprint(ctx context.Context, c *call) error {
	c.storeFlag()
	if err := c.parse(0, 1); err != nil {
		return err
	}
	p, err := c.publicOf(ctx, c.args)
	if err != nil {
		return err
	}
	return c.print(fingerprintResult{describe(p)})
}

// publicOf returns the public identity of the file that is named, or of the store.
func (c *call) publicOf(ctx context.Context, files []string) (*keys.PublicIdentity, error) {
	if len(files) > 0 {
		return c.readPublic(files[0])
	}
	s, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	return s.Identity().Public(), nil
}

// compareResult is what two people compare: the number, or one's code with the
// other's device.
type compareResult struct {
	Fingerprint  string `json:"fingerprint"`
	Peer         string `json:"peer"`
	SafetyNumber string `json:"safety_number"`
	Code         string `json:"code"` // for the peer's device to scan
}

func (r compareResult) text(w io.Writer) { fmt.Fprintln(w, r.SafetyNumber) }

func keySafetyNumber(ctx context.Context, c *call) error {
	c.storeFlag()
	if err := c.parse(1, 1); err != nil {
		return err
	}
	peer, err := c.peerFingerprint(c.args[0])
	if err != nil {
		return err
	}
	own, err := c.publicOf(ctx, nil)
	if err != nil {
		return err
	}
	if own.Fingerprint() == peer {
		return fmt.Errorf("that is the identity of the store itself: give the peer's")
	}
	return c.print(compareResult{own.Fingerprint().String(), peer.String(),
		trust.SafetyNumber(own.Fingerprint(), peer), trust.SafetyCode(own.Fingerprint(), peer)})
}

// peerFingerprint takes a fingerprint, or a file with a public identity.
func (c *call) peerFingerprint(arg string) (keys.Fingerprint, error) {
	if f, err := keys.ParseFingerprint(arg); err == nil {
		return f, nil
	}
	p, err := c.readPublic(arg)
	if err != nil {
		return keys.Fingerprint{}, err
	}
	return p.Fingerprint(), nil
}

// successionResult is the statement that one identity takes the place of another.
type successionResult struct {
	Fingerprint string `json:"fingerprint"`
	Successor   string `json:"successor"`
	Succession  string `json:"succession"` // the statement to hand out, base64
}

func (r successionResult) text(w io.Writer) { fmt.Fprintln(w, r.Succession) }

func keySucceed(ctx context.Context, c *call) error {
	c.storeFlag()
	if err := c.parse(1, 1); err != nil {
		return err
	}
	old, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.store = c.args[0]
	next, err := c.read(ctx)
	if err != nil {
		return err
	}
	s, err := trust.Succeed(old.Identity(), next.Identity())
	if err != nil {
		return err
	}
	return c.print(successionResult{s.Old().String(), s.Next().String(), encodeText(s.Bytes())})
}
