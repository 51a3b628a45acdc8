package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
)

// A record is saved with each message. What of the messages before has not been acknowledged
// is saved once: as a part of its own, when enough has gathered.
const (
	partSize   = 64 << 10 // bytes from which on what has gathered becomes a part
	manyParts  = 1024     // behind so many,
	partSizeUp = 1 << 20  // of this size: a window of 1 GiB has room in sessionstore.MaxParts then
)

// A part is what a record says about one of its parts:
//
//	array(4) [ id bin 32, H(what is stored) bin 32, number of its first message uint, of its last uint ]
type part struct {
	id          [32]byte
	hash        [sha256.Size]byte
	first, last uint64
}

func appendParts(dst []byte, parts []part) []byte {
	dst = strict.AppendArray(dst, len(parts))
	for _, p := range parts {
		dst = strict.AppendBin(strict.AppendArray(dst, 4), p.id[:])
		dst = strict.AppendBin(dst, p.hash[:])
		dst = strict.AppendUint(strict.AppendUint(dst, p.first), p.last)
	}
	return dst
}

func readParts(in *strict.Reader) (parts []part) {
	for range in.ArrayLen(0, sessionstore.MaxParts) {
		var p part
		in.Array(4)
		copy(p.id[:], in.Bin(32, 32))
		copy(p.hash[:], in.Bin(32, 32))
		p.first, p.last = in.Uint(), in.Uint()
		parts = append(parts, p)
	}
	return parts
}

func partIDs(parts []part) (ids [][32]byte) {
	for _, p := range parts {
		ids = append(ids, p.id)
	}
	return ids
}

func partPlace(key, id [32]byte) []byte { return label.SessionStorePart.With(key[:], id[:]) }

// A sealedPart is a part that is about to be stored, or of which nobody knows whether it is.
type sealedPart struct {
	part
	stored sessionstore.Part
}

// sealPart seals messages that are to be stored apart from the record of a key.
func (v vault) sealPart(key [32]byte, a engine.Apart, last uint64, expires time.Time) (*sealedPart, error) {
	p := &sealedPart{part: part{first: a.First, last: last}}
	rand.Read(p.id[:])
	data, err := v.seal(a.Messages, partPlace(key, p.id))
	if err != nil {
		return nil, err
	}
	p.hash = sha256.Sum256(data)
	p.stored = sessionstore.Part{Key: key, ID: p.id, Expires: expires, Data: data}
	return p, nil
}

// loadParts returns the messages in the parts of a record. What is not the very part that the
// record means is as good as none, and so is the record then.
func (v vault) loadParts(ctx context.Context, key [32]byte, parts []part) (all []engine.Apart, err error) {
	for _, p := range parts {
		data, err := v.store.LoadPart(ctx, key, p.id)
		if err != nil && !errors.Is(err, sessionstore.ErrNotStored) {
			return nil, err
		}
		if err != nil || sha256.Sum256(data) != p.hash {
			return nil, errPart
		}
		messages, err := v.open(data, partPlace(key, p.id))
		if err != nil {
			return nil, errPart
		}
		all = append(all, engine.Apart{First: p.first, Messages: messages})
	}
	return all, nil
}

// bornBy is when a session began by what the wall clock shows now, for what is stored.
func bornBy(now time.Time, e *engine.Session) time.Time { return now.Add(-now.Sub(e.Born())) }

// gather stores what has gathered apart, and forgets parts that have arrived. It is called
// under turn, ahead of a record that names what is left.
func (k *keeper) gather(ctx context.Context) error {
	e := k.session.engine
	acked := e.Acked()
	for len(k.parts) > 0 && k.parts[0].last <= acked {
		k.parts = k.parts[1:]
	}
	if k.unsure == nil && e.Gathered() >= k.enough() {
		messages, last := e.Gather()
		if last == 0 {
			return engine.ErrClosed
		}
		p, err := k.vault.sealPart(k.key, messages, last, bornBy(time.Now(), e).Add(maxMaxAge+time.Hour))
		if err != nil {
			return err
		}
		k.unsure = p
	}
	if k.unsure == nil {
		return nil
	}
	if err := k.vault.store.SavePart(ctx, k.unsure.stored); err != nil {
		return err
	}
	e.Apart(k.unsure.last)
	k.parts, k.unsure = append(k.parts, k.unsure.part), nil
	return nil
}

// enough returns how many bytes have to gather for another part.
func (k *keeper) enough() int {
	if len(k.parts) >= manyParts {
		return partSizeUp
	}
	return partSize
}
