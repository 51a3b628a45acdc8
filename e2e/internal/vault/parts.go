package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/strict"
)

// A record is saved with each message. Earlier messages that are still unacknowledged are saved
// only once: when enough of them have gathered they become a part of their own.
const (
	partSize     = 64 << 10 // bytes that must gather for a part
	manyParts    = 1024     // from so many parts on partSizeLong applies
	partSizeLong = 1 << 20  // with it a window of 1 GiB fits into sessionstore.MaxParts
)

// A part is what a record says about one of its parts:
//
//	array(4) [ id bin 32, SHA-256 of what is stored bin 32, number of its first message uint, of its last uint ]
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

// A sealedPart is a part that may not be stored yet.
type sealedPart struct {
	part
	stored sessionstore.Part
}

// sealPart seals messages, to be stored apart from the record of this key.
func (v Vault) sealPart(key [32]byte, a engine.Apart, last uint64, expires time.Time) (*sealedPart, error) {
	p := &sealedPart{part: part{first: a.First, last: last}}
	rand.Read(p.id[:])
	data, err := v.seal(a.Messages, partData(key, p.id))
	if err != nil {
		return nil, err
	}
	p.hash = sha256.Sum256(data)
	p.stored = sessionstore.Part{Key: key, ID: p.id, Expires: expires, Data: data}
	return p, nil
}

// errPart says that a record is unusable because one of its parts is missing, or is not the part
// that the record means.
var errPart = errors.New("e2e: a part of a stored session is missing")

// loadParts returns the messages in the parts of a record. Each part must be the very one that
// the record means.
func (v Vault) loadParts(ctx context.Context, key [32]byte, parts []part) (all []engine.Apart, err error) {
	for _, p := range parts {
		data, err := v.Store.LoadPart(ctx, key, p.id)
		if err != nil && !errors.Is(err, sessionstore.ErrNotStored) {
			return nil, err
		}
		if err != nil || sha256.Sum256(data) != p.hash {
			return nil, errPart
		}
		messages, err := v.open(data, partData(key, p.id))
		if err != nil {
			return nil, errPart
		}
		all = append(all, engine.Apart{First: p.first, Messages: messages})
	}
	return all, nil
}
