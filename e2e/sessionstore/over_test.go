package sessionstore

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A staleKV returns of sessions what was there before the last write, while it is behind.
type staleKV struct {
	*memory
	behind bool
	old    map[string]versioned
}

func (s *staleKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if s.behind && strings.HasPrefix(key, sessionPrefix) {
		return s.old[key].value, s.old[key].version, nil
	}
	return s.memory.Get(ctx, key)
}

// A replica that is behind has whoever asks it fenced, and nothing removed that the latest record
// needs.
func TestReadsOutOfDateRemoveNoParts(t *testing.T) {
	for _, before := range []bool{false, true} { // a record that is not seen, and an earlier one
		kv := &staleKV{memory: &memory{values: map[string]versioned{}}, old: map[string]versioned{}}
		s := Over(kv)
		mustSave(t, s, record(1, "first", 10))
		if before {
			kv.old[sessionName(key(1))] = kv.values[sessionName(key(1))]
		}
		mustSavePart(t, s, part(30, "a"))
		mustSave(t, s, withParts(record(2, "second", 10), 30))
		third := withParts(record(3, "third", 10), 30)
		mustSave(t, s, third)
		kv.behind = true
		if err := s.Save(t.Context(), third); !errors.Is(err, ErrFenced) { // its outcome was not known
			t.Error(err)
		}
		kv.behind = false
		wantParts(t, s, map[byte]string{30: "a"})
	}
}
