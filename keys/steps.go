//go:build !js

package keys

import (
	"errors"
	"time"

	"github.com/hopseal/hopseal/keys/internal/ring"
)

// changeRing steps the ring of one use.
func (s *identityState) changeRing(use Use, now time.Time, change func(ring.Ring) (ring.Ring, error)) (*identityState, error) {
	return s.step(now, func(next *identityState) (err error) {
		switch {
		case use == UseSealing:
			next.sealing, err = change(s.sealing)
		case s.external():
			err = errors.New("keys: messages are signed by an external Signer: rotate it where it is kept")
		default:
			next.signing, err = change(s.signing)
		}
		return err
	})
}

// step returns the state after the same change of both rings. The change is told
// which of the two Tink ids of a pair it is about.
func (s *sharedState) step(tinkID uint32, change func(r ring.Ring, id uint32) (ring.Ring, error)) (*sharedState, error) {
	macID := uint32(0)
	if i, err := s.aeads.Find(tinkID); err == nil {
		macID = s.macs.Lives[i].ID
	}
	next := new(sharedState)
	var err error
	if next.aeads, err = change(s.aeads, tinkID); err != nil {
		return nil, err
	}
	if next.macs, err = change(s.macs, macID); err != nil {
		return nil, err
	}
	return next, next.load(s)
}
