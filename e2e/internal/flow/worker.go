package flow

import "sync"

// A Worker handles values one after the other, in a goroutine that exists while there are values.
type Worker[T any] struct {
	mu     sync.Mutex // guards what follows
	queue  []T
	active bool
}

// Put calls handle with v at some later time. If most values wait already, it drops v.
func (w *Worker[T]) Put(v T, most int, handle func(T)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= most {
		return false
	}
	w.queue = append(w.queue, v)
	if !w.active {
		w.active = true
		go w.run(handle)
	}
	return true
}

func (w *Worker[T]) run(handle func(T)) {
	for v, ok := w.next(); ok; v, ok = w.next() {
		handle(v)
	}
}

func (w *Worker[T]) next() (v T, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue, w.active = nil, false
		return v, false
	}
	v = w.queue[0]
	w.queue = w.queue[1:]
	return v, true
}
