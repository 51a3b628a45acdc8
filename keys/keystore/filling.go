package keystore

import (
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// fillingAhead is how long in advance Filling warns.
const fillingAhead = 30 * 24 * time.Hour

// Filling returns the keysets that will be full within a month under that policy, when another key is
// due. It does not foresee keys that become due by a count of messages or bytes.
func (s *Store) Filling(p RotationPolicy) []*KeysetFullError {
	var out []*KeysetFullError
	for _, ref := range s.rotated(p) {
		if e := s.filling(ref, p); e != nil {
			out = append(out, e)
		}
	}
	return out
}

func (s *Store) filling(ref KeyRef, p RotationPolicy) *KeysetFullError {
	infos, now := s.aged(ref)
	if p.Age <= 0 || ref.Use == keys.UseSigning {
		return nil
	}
	at := nextDue(infos, p)
	for made := 0; made <= 2*ring.Capacity && at.Before(now.Add(fillingAhead)); made++ {
		if keysLeft(infos, p, at)+min(made, p.lasting(ref)) >= ring.Capacity {
			return full(ref, infos, at)
		}
		at = at.Add(p.Age)
	}
	return nil
}

// nextDue returns when the policy wants another key.
func nextDue(infos []agedKey, p RotationPolicy) (at time.Time) {
	for _, k := range infos {
		switch k.Stage {
		case keys.StagePending:
			return k.since.Add(p.Age)
		case keys.StagePrimary:
			at = k.since.Add(max(p.Age-p.Lead, 0))
		}
	}
	return at
}

// keysLeft returns how many keys the policy has not destroyed by then.
func keysLeft(infos []agedKey, p RotationPolicy, at time.Time) (n int) {
	for _, k := range infos {
		var end time.Time
		switch k.Stage {
		case keys.StageRetiring:
			end = p.accepted(k)
		case keys.StageArchived:
			end = k.since
		}
		if p.Keep <= 0 || end.IsZero() || at.Before(end.Add(p.Keep)) {
			n++
		}
	}
	return n
}
