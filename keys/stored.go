//go:build !js

package keys

import (
	"errors"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// This file offers what only keys/keystore and keys/keyio do with identities and shared keysets.
// Browsers have neither package.

func init() {
	bridge.Offer(bridge.Identities[*Identity]{
		Copy: func(id *Identity) *Identity { return newIdentity(id.state.Load()) },
		Same: func(a, b *Identity) bool { return a.state.Load() == b.state.Load() },
		Move: func(id, from, to *Identity) bool { return id.state.CompareAndSwap(from.state.Load(), to.state.Load()) },
		Follow: func(id, to *Identity) {
			id.state.Store(to.state.Load().attachedLike(id.state.Load()))
		},
		Rings: func(id *Identity) (signing, sealing ring.Ring) {
			s := id.state.Load()
			return s.signing, s.sealing
		},
		Renewed: func(id *Identity, now time.Time) (*Identity, error) { return stepped(id.state.Load().renewed(now)) },
		Revoked: func(id *Identity, now time.Time) (*Identity, error) { return stepped(id.state.Load().revoked(now)) },
		Changed: func(id *Identity, sealing bool, now time.Time, change func(ring.Ring) (ring.Ring, error)) (*Identity, error) {
			return stepped(id.state.Load().changeRing(sealing, now, change))
		},
	})
	bridge.Offer(bridge.SharedKeysets[*SharedKeyset]{
		Copy:   func(s *SharedKeyset) *SharedKeyset { return newSharedKeyset(s.state.Load()) },
		Same:   func(a, b *SharedKeyset) bool { return a.state.Load() == b.state.Load() },
		Move:   func(s, to *SharedKeyset) { s.state.Store(to.state.Load()) },
		Append: func(dst []byte, s *SharedKeyset) ([]byte, error) { return s.state.Load().append(dst) },
		Parse:  func(r *strict.Reader) (*SharedKeyset, error) { return sharedStepped(parseSharedState(r)) },
		Rings: func(s *SharedKeyset) (aeads, macs ring.Ring) {
			state := s.state.Load()
			return state.aeads, state.macs
		},
		Changed: func(s *SharedKeyset, tinkID uint32, change func(ring.Ring, uint32) (ring.Ring, error)) (*SharedKeyset, error) {
			return sharedStepped(s.state.Load().step(tinkID, change))
		},
		Updated: func(s, to *SharedKeyset) (*SharedKeyset, error) {
			handed := to.state.Load()
			after := &sharedState{aeads: handed.aeads, macs: handed.macs, reserved: handed.reserved}
			return sharedStepped(after, after.load(s.state.Load()))
		},
		Counted: func(s *SharedKeyset, l bridge.Ledger) *SharedKeyset {
			return newSharedKeyset(s.state.Load().countedBy(l))
		},
		Reserved: func(s *SharedKeyset, id [32]byte) (messages uint64, held bool) {
			state := s.state.Load()
			if i := state.index(id); i >= 0 {
				return state.reserved[i], true
			}
			return 0, false
		},
		WithReserved: func(s *SharedKeyset, id [32]byte, messages uint64) *SharedKeyset {
			return newSharedKeyset(s.state.Load().withReserved(id, messages))
		},
		Spent: func(s *SharedKeyset, messages uint64) *SharedKeyset {
			after := *s.state.Load()
			after.reserved = slices.Repeat([]uint64{messages}, len(after.reserved))
			return newSharedKeyset(&after)
		},
		Used: func(s *SharedKeyset) (messages, bytes uint64) {
			used := s.state.Load().primary.sealed
			return used.messages.Load(), used.bytes.Load()
		},
		Uncounted: errUncounted,
	})
}

// init offers what only keys/keyio does.
func init() {
	bridge.Offer(bridge.Imports[*Identity, *SharedKeyset]{
		Identity: func(name string, signing, sealing ring.Ring, now time.Time) (*Identity, error) {
			root, err := newRoot()
			if err != nil {
				return nil, err
			}
			return (&identityState{root: root, signing: signing, sealing: sealing}).begin(name, now)
		},
		SharedKeyset: func(aeads, macs ring.Ring) (*SharedKeyset, error) {
			s := &sharedState{aeads: aeads, macs: macs}
			return sharedStepped(s, s.load(nil))
		},
	})
}

func stepped(s *identityState, err error) (*Identity, error) {
	if err != nil {
		return nil, err
	}
	return newIdentity(s), nil
}

func sharedStepped(s *sharedState, err error) (*SharedKeyset, error) {
	if err != nil {
		return nil, err
	}
	return newSharedKeyset(s), nil
}

// attachedLike returns the state with the Signers that were attached to the state before, if they
// still fit.
func (s *identityState) attachedLike(before *identityState) *identityState {
	after := *s
	if after.root == nil {
		after.root = before.root
	}
	if after.external() && after.signer == nil && !after.public.Revoked() && before.signer != nil &&
		after.public.signing[0].id == signingKeyID(before.signer.PublicKey()) {
		after.signer = before.signer
	}
	return &after
}

// changeRing changes the signing or the sealing ring.
func (s *identityState) changeRing(sealing bool, now time.Time, change func(ring.Ring) (ring.Ring, error)) (*identityState, error) {
	return s.step(now, func(next *identityState) (err error) {
		switch {
		case sealing:
			next.sealing, err = change(s.sealing)
		case s.external():
			err = errors.New("keys: messages are signed by an external Signer: rotate it where it is kept")
		default:
			next.signing, err = change(s.signing)
		}
		return err
	})
}

// step returns the state after the same change of both rings. Change gets each ring with the Tink id
// that the key has in it.
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

// withReserved returns the state with that number of messages reserved for a pair that it holds.
func (s *sharedState) withReserved(id SharedKeyID, messages uint64) *sharedState {
	next := *s
	next.reserved = slices.Clone(s.reserved)
	next.reserved[s.index(id)] = messages
	return &next
}

// countedBy returns the state with pairs whose messages the ledger counts. Pairs that somebody took
// out before stay uncounted, and so only open.
func (s *sharedState) countedBy(l bridge.Ledger) *sharedState {
	if s.aeads.Kind != keyset.AESGCM {
		return s
	}
	after := *s
	after.ledger, after.pairs = l, nil
	for i, k := range s.pairs {
		pair := *k
		pair.sealed = after.newUsage(k.id, s.reserved[i])
		after.pairs = append(after.pairs, &pair)
	}
	after.primary = after.pairs[s.aeads.Primary()]
	return &after
}
