package ring

import (
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// A Ring is a Tink keyset with the life of each of its keys. It is immutable: every step makes a new
// one, so that a store can save it before anything uses it.
type Ring struct {
	Kind  keyset.Type
	Set   Set
	Lives []Life // in the keyset's order
}

// New makes a ring with one key, the primary.
func New(kind keyset.Type, now time.Time) (Ring, error) {
	if err := unixtime.Check(now); err != nil {
		return Ring{}, err
	}
	set, err := GenerateSet(kind)
	if err != nil {
		return Ring{}, err
	}
	k, err := set.Keyset()
	if err != nil {
		return Ring{}, err
	}
	at := uint64(now.Unix())
	return Ring{kind, set, []Life{{ID: k.Primary, Created: at, Promoted: at}}}, nil
}

// Primary returns the index of the primary key.
func (r Ring) Primary() int {
	return slices.IndexFunc(r.Lives, func(l Life) bool { return l.Stage() == Primary })
}

const (
	// MaxKeys is how many keys a ring can hold. It has room for a new key each day: 33 retired ones,
	// since statements that list them are valid for 30 days, and those that the archive keeps for a
	// year.
	MaxKeys = keyset.MaxKeys

	// MaxSigning is how many keys a signing ring holds.
	MaxSigning = 64

	// MaxSize bounds the Tink keyset in an encoded ring, in bytes.
	MaxSize = 1 << 20
)

// Append writes the ring:
//
//	array(2) [ Tink keyset bin, array of array(5) [ Tink id, created, promoted, retired, archived ] ]
func (r Ring) Append(dst []byte) ([]byte, error) {
	set, err := r.Set.Bytes()
	if err != nil {
		return nil, err
	}
	dst = strict.AppendBin(strict.AppendArray(dst, 2), set)
	dst = strict.AppendArray(dst, len(r.Lives))
	for _, l := range r.Lives {
		dst = strict.AppendArray(dst, 5)
		for _, v := range []uint64{uint64(l.ID), l.Created, l.Promoted, l.Retired, l.Archived} {
			dst = strict.AppendUint(dst, v)
		}
	}
	return dst, nil
}

// Parse reads what Append wrote.
func Parse(r *strict.Reader, kind keyset.Type) (Ring, bool) {
	r.Array(2)
	set, err := ParseSet(r.Bin(1, MaxSize))
	out := Ring{Kind: kind, Set: set}
	for range r.ArrayLen(1, MaxKeys) {
		r.Array(5)
		id := r.Uint()
		l := Life{uint32(id), r.Uint(), r.Uint(), r.Uint(), r.Uint()}
		if id > 1<<32-1 || !l.ordered() {
			return Ring{}, false
		}
		out.Lives = append(out.Lives, l)
	}
	if r.Failed() || err != nil || !out.agrees() {
		return Ring{}, false
	}
	return out, true
}

// ordered reports whether the stages follow each other in time.
func (l Life) ordered() bool {
	after := func(a, b uint64) bool { return b == 0 || a != 0 && a <= b }
	return l.Created > 0 && max(l.Created, l.Promoted, l.Retired, l.Archived) < unixtime.Limit &&
		after(l.Created, l.Promoted) && after(l.Promoted, l.Retired) && after(l.Retired, l.Archived)
}

// agrees reports whether lives and keyset list the same keys in the same states.
func (r Ring) agrees() bool {
	k, err := r.Set.Keyset()
	if err != nil || len(k.Keys) != len(r.Lives) {
		return false
	}
	for i, l := range r.Lives {
		key := k.Keys[i]
		archived := l.Stage() == Archived
		if key.ID != l.ID || key.Type != r.Kind ||
			(key.ID == k.Primary) != (l.Stage() == Primary) || archived != (key.Status == keyset.Disabled) {
			return false
		}
	}
	return true
}
