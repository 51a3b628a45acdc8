// Package sessionstore keeps the sessions of package e2e where they outlive a process.
//
//	store, err := sessionstore.Dir("/var/lib/orders/sessions")
//	cfg.Store, cfg.StoreKeys = store, keyset
//
// [Dir] is for the processes of one machine, or of several that share a directory with
// working locks. [Memory] is for tests and for servers of one process. [Over] makes a
// store of anything that can compare and swap: a database, Redis, etcd.
//
// Records are encrypted before they get here. A store sees how many sessions there are,
// when they are used, how much of each is unacknowledged, and ids that a network sees as
// well. Whoever can write to it can delete sessions or put earlier records back: then
// they end, with an error that says so. Nobody can make one up, or read one.
package sessionstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/strict"
)

// A KV is what [Over] needs of a store. Each key has a value and a version, which counts
// the values from 1. It must be safe for concurrent use, by several processes where they
// share it. Keys have at most 80 ASCII letters, digits and hyphens.
type KV interface {
	// Get returns the value of a key and its version, or nil and 0 if there is none.
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

// Over returns a store over kv.
func Over(kv KV) e2e.SessionStore { return &store{kv} }

type store struct{ kv KV }

// Keys are "session-" and the record's key, and "id-" and each of its ids, in hex.
const (
	sessionPrefix = "session-"
	idPrefix      = "id-"
)

func sessionName(key [32]byte) string { return sessionPrefix + hex.EncodeToString(key[:]) }
func idName(id [32]byte) string       { return idPrefix + hex.EncodeToString(id[:]) }

// A value of a session is
//
//	array(4) [ version=1, expires uint ms, array(1 to 2) of ids bin 32, data bin ]
//
// and one of an id
//
//	array(3) [ version=1, expires uint ms, the session's key bin 32 ]
const formatVersion = 1

const maxIDs = 2

func encodeSession(s e2e.StoredSession) []byte {
	b := strict.AppendUint(strict.AppendArray(nil, 4), formatVersion)
	b = strict.AppendUint(b, milliseconds(s.Expires))
	b = strict.AppendArray(b, len(s.IDs))
	for _, id := range s.IDs {
		b = strict.AppendBin(b, id[:])
	}
	return strict.AppendBin(b, s.Data)
}

func milliseconds(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

// errMalformed is returned for a value that this package did not write.
var errMalformed = errors.New("sessionstore: malformed value")

func decodeSession(b []byte) (s e2e.StoredSession, err error) {
	r := strict.NewReader(b)
	r.Array(4)
	version, expires := r.Uint(), r.Uint()
	for range r.ArrayLen(1, maxIDs) {
		if id := r.Bin(32, 32); !r.Failed() {
			s.IDs = append(s.IDs, [32]byte(id))
		}
	}
	s.Data = r.Bin(0, len(b))
	if r.Done() != nil || version != formatVersion || expires > maxTime {
		return e2e.StoredSession{}, errMalformed
	}
	s.Expires = time.UnixMilli(int64(expires))
	return s, nil
}

func encodeID(key [32]byte, expires time.Time) []byte {
	b := strict.AppendUint(strict.AppendArray(nil, 3), formatVersion)
	b = strict.AppendUint(b, milliseconds(expires))
	return strict.AppendBin(b, key[:])
}

func decodeID(b []byte) (key [32]byte, expires time.Time, err error) {
	r := strict.NewReader(b)
	r.Array(3)
	version, at := r.Uint(), r.Uint()
	copy(key[:], r.Bin(32, 32))
	if r.Done() != nil || version != formatVersion || at > maxTime {
		return key, expires, errMalformed
	}
	return key, time.UnixMilli(int64(at)), nil
}

// maxTime is in ms: the end of the year 9999.
const maxTime = 253402300799999

// Load looks the id up, and then the session, which has the last word on its ids.
func (s *store) Load(ctx context.Context, id [32]byte) (none e2e.StoredSession, _ error) {
	b, _, err := s.kv.Get(ctx, idName(id))
	switch {
	case err != nil:
		return none, fmt.Errorf("sessionstore: %w", err)
	case b == nil:
		return none, e2e.ErrNotStored
	}
	key, _, err := decodeID(b)
	if err != nil {
		return none, e2e.ErrNotStored
	}
	found, err := s.get(ctx, key)
	if errors.Is(err, errMalformed) { // it will not get better
		return none, e2e.ErrNotStored
	}
	if err != nil {
		return none, err
	}
	if !slices.Contains(found.IDs, id) || !time.Now().Before(found.Expires) {
		return none, e2e.ErrNotStored
	}
	return found, nil
}

func (s *store) get(ctx context.Context, key [32]byte) (none e2e.StoredSession, _ error) {
	b, version, err := s.kv.Get(ctx, sessionName(key))
	switch {
	case err != nil:
		return none, fmt.Errorf("sessionstore: %w", err)
	case b == nil:
		return none, e2e.ErrNotStored
	}
	found, err := decodeSession(b)
	found.Key, found.Version = key, version
	return found, err
}

// Save writes ids that are new first: an id that leads to a record which does not have
// it is harmless, a record that no id leads to is lost. Ids that are gone are removed
// when everything else is done, or else by Sweep.
func (s *store) Save(ctx context.Context, r e2e.StoredSession) error {
	if len(r.IDs) < 1 || len(r.IDs) > maxIDs || r.Version == 0 {
		return errors.New("sessionstore: a record needs 1 to 2 ids and a version")
	}
	before, err := s.get(ctx, r.Key)
	if err != nil && !errors.Is(err, e2e.ErrNotStored) {
		return err
	}
	value := encodeSession(r)
	if before.Version == r.Version && bytes.Equal(encodeSession(before), value) {
		return nil
	}
	if r.Version == 1 && before.Version > 0 && !time.Now().Before(before.Expires) {
		if err := s.Delete(ctx, r.Key, before.Version); err != nil {
			return err
		}
		before = e2e.StoredSession{}
	}
	if before.Version != r.Version-1 {
		return e2e.ErrFenced
	}
	for _, id := range r.IDs {
		if !slices.Contains(before.IDs, id) {
			if err := s.point(ctx, id, r.Key); err != nil {
				return err
			}
		}
	}
	done, err := s.kv.Put(ctx, sessionName(r.Key), value, before.Version, r.Expires)
	if err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	if !done {
		return e2e.ErrFenced
	}
	for _, id := range before.IDs {
		if !slices.Contains(r.IDs, id) {
			s.unpoint(ctx, id, r.Key) // what stays is swept
		}
	}
	return nil
}

// idLife is how long an id may lead to a session: as long as any session lives, and a
// day more for clocks that differ.
const idLife = 48 * time.Hour

// point makes an id lead to a session.
func (s *store) point(ctx context.Context, id, key [32]byte) error {
	for {
		b, version, err := s.kv.Get(ctx, idName(id))
		if err != nil {
			return fmt.Errorf("sessionstore: %w", err)
		}
		if to, _, err := decodeID(b); err == nil && to == key {
			return nil
		}
		expires := time.Now().Add(idLife)
		done, err := s.kv.Put(ctx, idName(id), encodeID(key, expires), version, expires)
		if err != nil {
			return fmt.Errorf("sessionstore: %w", err)
		}
		if done {
			return nil
		}
	}
}

func (s *store) unpoint(ctx context.Context, id, key [32]byte) {
	b, version, err := s.kv.Get(ctx, idName(id))
	if to, _, bad := decodeID(b); err == nil && bad == nil && to == key {
		s.kv.Delete(ctx, idName(id), version)
	}
}

func (s *store) Delete(ctx context.Context, key [32]byte, version uint64) error {
	before, err := s.get(ctx, key)
	switch {
	case errors.Is(err, e2e.ErrNotStored):
		return nil
	case err != nil:
		return err
	case before.Version != version:
		return e2e.ErrFenced
	}
	done, err := s.kv.Delete(ctx, sessionName(key), version)
	if err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	if !done {
		return e2e.ErrFenced
	}
	for _, id := range before.IDs {
		s.unpoint(ctx, id, key)
	}
	return nil
}

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
	var expires time.Time
	switch {
	case strings.HasPrefix(name, sessionPrefix):
		var r e2e.StoredSession
		r, err = decodeSession(b)
		expires = r.Expires
	case strings.HasPrefix(name, idPrefix):
		_, expires, err = decodeID(b)
	default:
		return nil
	}
	if err == nil && now.Before(expires) {
		return nil
	}
	_, err = s.kv.Delete(ctx, name, version)
	return err
}

// Memory returns a store in memory, for tests and for several servers of one process.
func Memory() e2e.SessionStore { return Over(&memory{values: map[string]versioned{}}) }

type memory struct {
	mu     sync.Mutex
	values map[string]versioned
}

type versioned struct {
	value   []byte
	version uint64
}

func (m *memory) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	return bytes.Clone(v.value), v.version, nil
}

func (m *memory) Put(_ context.Context, key string, value []byte, version uint64, _ time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[key].version != version {
		return false, nil
	}
	m.values[key] = versioned{bytes.Clone(value), version + 1}
	return true, nil
}

func (m *memory) Delete(_ context.Context, key string, version uint64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if ok && v.version != version {
		return false, nil
	}
	delete(m.values, key)
	return true, nil
}

func (m *memory) Keys(_ context.Context, visit func(string) bool) error {
	m.mu.Lock()
	names := make([]string, 0, len(m.values))
	for name := range m.values {
		names = append(names, name)
	}
	m.mu.Unlock()
	for _, name := range names {
		if !visit(name) {
			break
		}
	}
	return nil
}
