package e2e

import "sync"

// A feed handles values one after the other, in a goroutine that lives while there are
// some.
type feed[T any] struct {
	mu     sync.Mutex // guards what follows
	queue  []T
	active bool
}

// put hands v to handle, at some later time, unless most others wait already.
func (f *feed[T]) put(v T, most int, handle func(T)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) >= most {
		return false
	}
	f.queue = append(f.queue, v)
	if !f.active {
		f.active = true
		go f.run(handle)
	}
	return true
}

func (f *feed[T]) run(handle func(T)) {
	for v, ok := f.next(); ok; v, ok = f.next() {
		handle(v)
	}
}

func (f *feed[T]) next() (v T, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		f.queue, f.active = nil, false
		return v, false
	}
	v = f.queue[0]
	f.queue = f.queue[1:]
	return v, true
}
