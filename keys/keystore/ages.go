package keystore

import (
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// aged returns the keys of a keyset, and the present time by the tally, which their ages are measured by.
func (s *Store) aged(ref KeyRef) (out []agedKey, now time.Time) {
	infos := s.keys(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readClock()
	t := s.contents.tally
	for _, k := range infos {
		ref.TinkID = k.TinkID
		a := t.ages[ref]
		out = append(out, agedKey{k, time.Unix(a.since, 0), unixtime.Time(uint64(a.listed))})
	}
	return out, t.usable().Add(s.rest)
}

func (s *Store) keys(ref KeyRef) []keys.KeyInfo {
	if ref.Use == keys.UseShared {
		if set, ok := s.SharedKeyset(ref.Keyset); ok {
			return set.Keys()
		}
		return nil
	}
	var out []keys.KeyInfo
	for _, k := range s.Identity().Keys() {
		if k.Use == ref.Use {
			out = append(out, k)
		}
	}
	return out
}
