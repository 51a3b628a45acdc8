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

func TestA34OutboxSaysWhenItIsHalfEmpty(t *testing.T) {
	for name, size := range map[string]int{"frames": 1, "bytes": 30} {
		o := newOutbox(4, 100)
		if name == "bytes" {
			o = newOutbox(100, 100)
		}
		for o.drained() == nil {
			if !o.push(make([]byte, size)) {
				t.Fatalf("%s: full, and not crowded", name)
			}
		}
		drained := o.drained()
		select {
		case <-drained:
			t.Fatalf("%s: drained at once", name)
		default:
		}
		o.pop()
		select {
		case <-drained:
		default:
			t.Fatalf("%s: not drained", name)
		}
		if o.drained() != nil {
			t.Fatalf("%s: still crowded", name)
		}
	}
}
