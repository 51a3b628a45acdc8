//go:build !js

package sessionstore

import (
	"sync"
)

// unconfirmed are the keys whose last write the disk has not confirmed. The file shows that write,
// and a power cut may take it back. To sync the file again would confirm nothing: the system counts
// what it failed to write as written.
type unconfirmed struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (u *unconfirmed) has(key string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.keys[key]
}

// note remembers whether the disk has confirmed a write.
func (u *unconfirmed) note(key string, err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err == nil:
		delete(u.keys, key)
	case u.keys == nil:
		u.keys = map[string]bool{key: true}
	default:
		u.keys[key] = true
	}
	return err
}

// confirmed is read for what survives a power cut. It writes the value anew if the disk has not
// confirmed it. The caller holds the key's lock.
func (d *dir) confirmed(key string) (contents, error) {
	now, err := d.read(key)
	if err != nil || !d.unconfirmed.has(key) {
		return now, err
	}
	switch now.version {
	case 0:
		return now, d.unconfirmed.note(key, nil) // it is gone
	case 1:
		err = d.replace(key, appendWhole(nil, now.versioned))
	default:
		err = d.replace(key, appendSlots(nil, now.versioned))
	}
	if err != nil {
		return contents{}, err
	}
	return d.read(key)
}
