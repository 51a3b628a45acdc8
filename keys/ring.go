package keys

import (
	"fmt"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
)

// Stage is where a key is in its life, which is Tink's: made, distributed,
// promoted, retired, archived, destroyed.
type Stage byte

const (
	StagePending  Stage = iota + 1 // made, and told to peers; seals and signs nothing yet
	StagePrimary                   // seals and signs
	StageRetiring                  // was primary; still accepted in transit
	StageArchived                  // disabled: opens stored messages through an archive opener only
)

func (s Stage) String() string {
	switch s {
	case StagePending:
		return "pending"
	case StagePrimary:
		return "primary"
	case StageRetiring:
		return "retiring"
	case StageArchived:
		return "archived"
	}
	return fmt.Sprintf("Stage(%d)", s)
}

// life is when each stage of a key began, in Unix seconds, 0 for not yet.
type life struct {
	id                                 uint32 // Tink's
	created, promoted, retired, parted uint64 // parted: archived
}

func (l life) stage() Stage {
	switch {
	case l.promoted == 0:
		return StagePending
	case l.retired == 0:
		return StagePrimary
	case l.parted == 0:
		return StageRetiring
	}
	return StageArchived
}

// ring is a Tink keyset with the life of each of its keys. It is immutable: every
// step makes a new one, so that it can be stored before anything uses it.
type ring struct {
	kind  keyset.Type
	set   tinkset
	lives []life // in the keyset's order
}

func newRing(kind keyset.Type, now time.Time) (ring, error) {
	set, err := generateTinkset(kind)
	if err != nil {
		return ring{}, err
	}
	k, err := set.keyset()
	if err != nil {
		return ring{}, err
	}
	at := uint64(now.Unix())
	return ring{kind, set, []life{{id: k.Primary, created: at, promoted: at}}}, nil
}

func (r ring) primary() int {
	return slices.IndexFunc(r.lives, func(l life) bool { return l.stage() == StagePrimary })
}

// maxRingKeys has room for a new key each day: 33 that have retired, since statements that list
// them are valid for 30 days, and those that are kept in the archive for a year.
const maxRingKeys = keyset.MaxKeys

// append writes the ring:
//
//	array(2) [ Tink keyset bin, array of array(5) [ Tink id, created, promoted, retired, archived ] ]
func (r ring) append(dst []byte) ([]byte, error) {
	set, err := r.set.bytes()
	if err != nil {
		return nil, err
	}
	dst = strict.AppendBin(strict.AppendArray(dst, 2), set)
	dst = strict.AppendArray(dst, len(r.lives))
	for _, l := range r.lives {
		dst = strict.AppendArray(dst, 5)
		for _, v := range []uint64{uint64(l.id), l.created, l.promoted, l.retired, l.parted} {
			dst = strict.AppendUint(dst, v)
		}
	}
	return dst, nil
}

func parseRing(r *strict.Reader, kind keyset.Type) (ring, bool) {
	r.Array(2)
	set, err := parseTinkset(r.Bin(1, maxKeysetSize))
	out := ring{kind: kind, set: set}
	for range r.ArrayLen(1, maxRingKeys) {
		r.Array(5)
		id := r.Uint()
		l := life{uint32(id), r.Uint(), r.Uint(), r.Uint(), r.Uint()}
		if id > 1<<32-1 || !l.ordered() {
			return ring{}, false
		}
		out.lives = append(out.lives, l)
	}
	if r.Failed() || err != nil || !out.agrees() {
		return ring{}, false
	}
	return out, true
}

const maxKeysetSize = 1 << 20

func (l life) ordered() bool {
	after := func(a, b uint64) bool { return b == 0 || a != 0 && a <= b }
	return l.created > 0 && max(l.created, l.promoted, l.retired, l.parted) < maxUnixSeconds && after(l.created, l.promoted) && after(l.promoted, l.retired) && after(l.retired, l.parted)
}

// agrees reports whether lives and keyset tell of the same keys in the same
// states.
func (r ring) agrees() bool {
	k, err := r.set.keyset()
	if err != nil || len(k.Keys) != len(r.lives) {
		return false
	}
	for i, l := range r.lives {
		key := k.Keys[i]
		archived := l.stage() == StageArchived
		if key.ID != l.id || key.Type != r.kind ||
			(key.ID == k.Primary) != (l.stage() == StagePrimary) || archived != (key.Status == keyset.Disabled) {
			return false
		}
	}
	return true
}
