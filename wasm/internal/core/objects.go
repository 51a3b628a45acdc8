package core

import "sync"

// maxObjects is the most Go objects that JavaScript may hold: many more than a
// page has peers, few enough that a leak is noticed before memory is short.
const maxObjects = 1 << 16

// objects holds the Go objects that JavaScript has handles of.
type objects struct {
	mu       sync.Mutex // goroutines add and remove too
	byHandle map[uint32]any
	last     uint32
}

var (
	errClosed  = &Error{Code: "closed", Message: "the object was closed"}
	errTooMany = &Error{Code: "too-many", Message: "too many live objects: close what is no longer needed"}
)

// add returns v's handle, never 0 and never one that was given out before.
func (o *objects) add(v any) (uint32, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.byHandle) >= maxObjects || o.last == 1<<32-1 {
		return 0, errTooMany
	}
	if o.byHandle == nil {
		o.byHandle = make(map[uint32]any)
	}
	o.last++
	o.byHandle[o.last] = v
	return o.last, nil
}

// get returns nil for a handle that is unknown or removed.
func (o *objects) get(h uint32) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byHandle[h]
}

func (o *objects) remove(h uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byHandle, h)
}

// clear removes all objects.
func (o *objects) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byHandle = nil
}

// appendHandle gives v a handle and appends it.
func (o *objects) appendHandle(dst []byte, v any) ([]byte, error) {
	h, err := o.add(v)
	if err != nil {
		return nil, err
	}
	return appendUint32(dst, h), nil
}
