//go:build !js

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys"
)

// publicResult is the public identity in a file.
type publicResult struct {
	File string `json:"file"`
	identityResult
}

func (r publicResult) text(w io.Writer) {
	fmt.Fprintf(w, "file         %s\n", shown(r.File))
	r.identityResult.text(w)
}

// showPublic shows the public identity in a file.
func (c *call) showPublic(file string, within time.Duration) error {
	p, err := c.readPublic(file)
	if err != nil {
		return err
	}
	if err := c.print(publicResult{file, describe(p)}); err != nil {
		return err
	}
	return checkExpiry(p, within, "ask its owner for the current one")
}

// showStore shows what a store holds.
func (c *call) showStore(ctx context.Context, within time.Duration) error {
	s, err := c.read(ctx)
	if err != nil {
		return err
	}
	public := s.Identity().Public()
	r := showResult{Store: c.store, identityResult: describe(public), Keys: keysOf(s), Peers: []peerResult{}}
	for _, p := range s.KnownPeers().All() {
		r.Peers = append(r.Peers, describePeer(p))
	}
	if err := c.print(r); err != nil {
		return err
	}
	return checkExpiry(public, within, "run 'hopseal key rotate', and see why Store.Run has not renewed it")
}

// An expiresSoonError answers -expires-within with yes.
type expiresSoonError struct{ text string }

func (e expiresSoonError) Error() string { return e.text }

// checkExpiry returns an expiresSoonError if peers refuse the statement now or will within that time. It
// checks nothing for 0.
func checkExpiry(p *keys.PublicIdentity, within time.Duration, advice string) error {
	now := time.Now()
	left := p.Expires().Sub(now)
	switch state := stateOf(p, now); {
	case within == 0 || state == stateValid && left > within:
		return nil
	case state == stateValid:
		return expiresSoonError{fmt.Sprintf("the statement of %s expires in %s: %s", p.Fingerprint(), lapse.Text(left), advice)}
	case state == stateRevoked:
		return expiresSoonError{fmt.Sprintf("%s has been revoked", p.Fingerprint())}
	default:
		return expiresSoonError{fmt.Sprintf("the statement of %s is %s: %s", p.Fingerprint(), state, advice)}
	}
}
