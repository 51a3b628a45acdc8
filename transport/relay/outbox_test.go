//go:build !js

package relay

import "testing"

func TestA34OutboxIsBoundedByFramesAndBytes(t *testing.T) {
	o := newOutbox(3, 100)
	for i, push := range []struct {
		size int
		ok   bool
	}{{50, true}, {51, false}, {50, true}, {1, false}, {0, true}, {0, false}} {
		if got := o.push(make([]byte, push.size)); got != push.ok {
			t.Errorf("push %d, of %d bytes: %v", i, push.size, got)
		}
	}
	for _, size := range []int{50, 50, 0} {
		if b, ok := o.pop(); !ok || len(b) != size {
			t.Errorf("got %d bytes, %v, want %d", len(b), ok, size)
		}
	}
	if _, ok := o.pop(); ok || o.frames != nil || o.bytes != 0 {
		t.Errorf("an empty outbox gives %v and holds %d bytes", ok, o.bytes)
	}
	if !o.push(make([]byte, 100)) {
		t.Error("what was sent still counts")
	}
}
