package sessionstore

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Memory returns a store in memory, for tests and for several servers of one process.
func Memory() Store { return Over(&memory{values: map[string]versioned{}}) }

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
