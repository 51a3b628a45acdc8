package sessionstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sweep removes what has expired, and values that this package did not write.
func (s *store) Sweep(ctx context.Context) error {
	var failed error
	err := s.kv.Keys(ctx, func(name string) bool {
		failed = s.sweep(ctx, name, time.Now())
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	return nil
}

func (s *store) sweep(ctx context.Context, name string, now time.Time) error {
	b, version, err := s.kv.Get(ctx, name)
	if err != nil {
		return err
	}
	expires, record, err := expiry(name, b)
	if err == nil && (now.Before(expires) || s.needed(ctx, name, b)) {
		return nil
	}
	done, err := s.kv.Delete(ctx, name, version)
	if done {
		s.forget(ctx, record)
	}
	return err
}

// needed reports whether a record that has not expired needs an id or a part. Ids and parts are
// written once, so by a clock that was set since they may look expired.
func (s *store) needed(ctx context.Context, name string, b []byte) bool {
	hexID, isID := strings.CutPrefix(name, idPrefix)
	p, err := decodeID(b)
	if !isID {
		var of Part
		of, err = decodePart(b)
		hexID, p.to = strings.TrimPrefix(name, partPrefix), of.Key
	}
	id, bad := hex.DecodeString(hexID)
	if err != nil || bad != nil || len(id) != 32 {
		return false
	}
	r, err := s.Load(ctx, p.to)
	switch {
	case err != nil:
		return !errors.Is(err, ErrNotStored) // if nobody knows it stays
	case isID:
		return has(r, [32]byte(id))
	}
	return slices.Contains(r.Parts, [32]byte(id))
}

// expiry returns when a value expires, and the record to forget with it if it is one.
func expiry(name string, b []byte) (expires time.Time, r Record, err error) {
	switch {
	case strings.HasPrefix(name, sessionPrefix):
		r, err = decodeSession(b)
		if key, bad := hex.DecodeString(strings.TrimPrefix(name, sessionPrefix)); bad == nil && len(key) == 32 {
			r.Key = [32]byte(key)
		}
		return r.Expires, r, err
	case strings.HasPrefix(name, idPrefix):
		p, err := decodeID(b)
		return p.expires, r, err
	case strings.HasPrefix(name, partPrefix):
		p, err := decodePart(b)
		return p.Expires, r, err
	}
	return time.UnixMilli(maxTime), r, nil // not ours
}
