package sessionstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A KV is what [Over] needs of a store. Each key has a value and a version, which counts
// the values from 1. It must be safe for concurrent use, by several processes where they
// share it. Keys have at most 80 ASCII letters, digits and hyphens.
type KV interface {
	// Get returns the value of a key and its version, or nil and 0 if there is none. It must
	// not be older than the last Put or Delete that has returned, in whatever process: read
	// from the primary, not from a replica.
	Get(ctx context.Context, key string) (value []byte, version uint64, err error)

	// Put sets the value of a key, and its version to one above the given one, if it has
	// that one now; 0 means that there must be no value. It reports whether it did, which
	// must then survive what the sessions are to survive. The value expires at the time
	// given: a KV that knows of times may forget it from then on.
	Put(ctx context.Context, key string, value []byte, version uint64, expires time.Time) (bool, error)

	// Delete removes a key if it has this version, and reports whether it did, or there
	// was none.
	Delete(ctx context.Context, key string, version uint64) (bool, error)

	// Keys calls visit with every key, until that returns false. Keys that come or go
	// meanwhile may be left out. A KV that forgets by itself may do nothing.
	Keys(ctx context.Context, visit func(key string) bool) error
}

// Over returns a store that keeps everything in kv.
func Over(kv KV) Store { return &store{kv} }

type store struct{ kv KV }

// Find looks the id up, and nothing else.
func (s *store) Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, _ error) {
	p, _, err := s.pointer(ctx, id)
	if err != nil {
		return key, nil, err
	}
	return p.to, p.head, nil
}

// pointer returns what an id leads to, and the version of that value.
func (s *store) pointer(ctx context.Context, id [32]byte) (p pointer, version uint64, _ error) {
	b, version, err := s.kv.Get(ctx, idName(id))
	if err != nil {
		return p, 0, fmt.Errorf("sessionstore: %w", err)
	}
	if p, err = decodeID(b); err != nil {
		return p, version, ErrNotStored
	}
	return p, version, nil
}

// Load returns a session that has not expired.
func (s *store) Load(ctx context.Context, key [32]byte) (none Record, _ error) {
	found, err := s.get(ctx, key)
	switch {
	case errors.Is(err, errMalformed): // it will not get better
		return none, ErrNotStored
	case err != nil:
		return none, err
	case !time.Now().Before(found.Expires):
		return none, ErrNotStored
	}
	return found, nil
}

func (s *store) get(ctx context.Context, key [32]byte) (none Record, _ error) {
	b, version, err := s.kv.Get(ctx, sessionName(key))
	switch {
	case err != nil:
		return none, fmt.Errorf("sessionstore: %w", err)
	case b == nil:
		return none, ErrNotStored
	}
	found, err := decodeSession(b)
	found.Key, found.Version = key, version
	return found, err
}

// Save writes new ids before the record: an id that leads to a record without that id is
// harmless, and a record that no id leads to is lost. Only the first record comes before its ids:
// so whoever finds an id in use also finds the record, and of all who want one id one gets it.
// Save removes ids and parts that are not needed any more last; what it leaves, Sweep removes.
func (s *store) Save(ctx context.Context, r Record) error {
	if err := check(r); err != nil {
		return err
	}
	before, err := s.get(ctx, r.Key)
	if err != nil && !errors.Is(err, ErrNotStored) {
		return err
	}
	value := encodeSession(r)
	switch {
	case before.Version == r.Version && bytes.Equal(encodeSession(before), value):
		return s.pointFirst(ctx, r)
	case before.Version != r.Version-1:
		if before.Version >= r.Version { // otherwise what was read is out of date, and does not list the latest parts
			s.dropParts(ctx, before, r)
		}
		return ErrFenced
	}
	if r.Version > 1 {
		if err := s.point(ctx, before, r); err != nil {
			return err
		}
	}
	done, err := s.kv.Put(ctx, sessionName(r.Key), value, before.Version, r.Expires)
	if err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	if !done {
		return ErrFenced
	}
	for _, id := range before.IDs {
		if !has(r, id.ID) {
			s.unpoint(ctx, id.ID, r.Key) // if that fails Sweep does it
		}
	}
	s.dropParts(ctx, r, before)
	return s.pointFirst(ctx, r)
}

// pointFirst makes the ids of a session's first record lead to it. If one of them is another
// session's, it removes the record again.
func (s *store) pointFirst(ctx context.Context, r Record) error {
	if r.Version > 1 {
		return nil
	}
	err := s.point(ctx, Record{}, r)
	if errors.Is(err, ErrFenced) {
		err = cmp.Or(s.Delete(ctx, r.Key, r.Version), err)
	}
	return err
}

// check says what is wrong with a record.
func check(r Record) error {
	if len(r.IDs) < 1 || len(r.IDs) > maxIDs || len(r.Parts) > MaxParts || r.Version == 0 {
		return fmt.Errorf("sessionstore: a record needs a version, 1 to 2 ids and at most %d parts", MaxParts)
	}
	for _, id := range r.IDs {
		if len(id.Head) > MaxHead {
			return fmt.Errorf("sessionstore: a head has at most %d bytes", MaxHead)
		}
	}
	return nil
}

func has(r Record, id [32]byte) bool {
	return slices.ContainsFunc(r.IDs, func(x ID) bool { return x.ID == id })
}

// idLife is how long an id may lead to a session: a day, which is as long as any session lives, and
// another day for clocks that differ.
const idLife = 48 * time.Hour

// point makes the new ids of a record lead to it: those that the record before did not have. The
// error matches [ErrFenced] if one of them is another session's.
func (s *store) point(ctx context.Context, before, r Record) error {
	for _, id := range r.IDs {
		for done := has(before, id.ID); !done; {
			var err error
			if done, err = s.tryPoint(ctx, id, r.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// tryPoint reports false if somebody else has changed the id meanwhile.
func (s *store) tryPoint(ctx context.Context, id ID, key [32]byte) (done bool, _ error) {
	was, version, err := s.pointer(ctx, id.ID)
	switch {
	case errors.Is(err, ErrNotStored):
	case err != nil:
		return false, err
	case was.to == key && bytes.Equal(was.head, id.Head):
		return true, nil
	case was.to != key:
		if err := s.free(ctx, id.ID, was.to); err != nil {
			return false, err
		}
	}
	expires := time.Now().Add(idLife)
	done, err = s.kv.Put(ctx, idName(id.ID), encodeID(pointer{key, id.Head, expires}), version, expires)
	if err != nil {
		return false, fmt.Errorf("sessionstore: %w", err)
	}
	return done, nil
}

// free returns ErrFenced if an id is still another session's.
func (s *store) free(ctx context.Context, id, key [32]byte) error {
	other, err := s.Load(ctx, key)
	switch {
	case errors.Is(err, ErrNotStored):
		return nil
	case err != nil:
		return err
	case has(other, id):
		return ErrFenced
	}
	return nil
}

func (s *store) unpoint(ctx context.Context, id, key [32]byte) {
	if p, version, err := s.pointer(ctx, id); err == nil && p.to == key {
		s.kv.Delete(ctx, idName(id), version)
	}
}

func (s *store) Delete(ctx context.Context, key [32]byte, version uint64) error {
	before, err := s.get(ctx, key)
	switch {
	case errors.Is(err, ErrNotStored):
		return nil
	case err != nil && !errors.Is(err, errMalformed):
		return err
	case before.Version != version:
		return ErrFenced
	}
	done, err := s.kv.Delete(ctx, sessionName(key), version)
	if err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	if !done {
		return ErrFenced
	}
	s.forget(ctx, before)
	return nil
}

// forget removes the ids and parts of a record that is gone.
func (s *store) forget(ctx context.Context, r Record) {
	for _, id := range r.IDs {
		s.unpoint(ctx, id.ID, r.Key)
	}
	s.dropParts(ctx, Record{}, r)
}

// SavePart stores a part under a key of its own.
func (s *store) SavePart(ctx context.Context, p Part) error {
	done, err := s.kv.Put(ctx, partName(p.ID), encodePart(p), 0, p.Expires)
	if err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	if done {
		return nil
	}
	if data, err := s.LoadPart(ctx, p.Key, p.ID); err != nil || !bytes.Equal(data, p.Data) {
		return cmp.Or(err, errors.New("sessionstore: the id of the part is in use"))
	}
	return nil // an earlier call, of which nobody knew whether it succeeded, has stored it
}

func (s *store) LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error) {
	b, _, err := s.kv.Get(ctx, partName(id))
	if err != nil {
		return nil, fmt.Errorf("sessionstore: %w", err)
	}
	p, err := decodePart(b)
	if err != nil || p.Key != key {
		return nil, ErrNotStored
	}
	return p.Data, nil
}

// dropParts removes the parts that are listed by the record that goes, and not by the one that is
// kept.
func (s *store) dropParts(ctx context.Context, keep, gone Record) {
	if slices.Equal(keep.Parts, gone.Parts) { // most often
		return
	}
	kept := map[[32]byte]bool{}
	for _, id := range keep.Parts {
		kept[id] = true
	}
	for _, id := range gone.Parts {
		if !kept[id] {
			s.kv.Delete(ctx, partName(id), 1) // if that fails Sweep does it
		}
	}
}
