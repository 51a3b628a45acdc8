package engine

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A queue against a slice of slices, over sizes that make it grow, move and reset.
func TestQueueKeepsMessagesAndOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	var want [][]byte
	for step := range 20_000 {
		if grow := step/500%2 == 0; r.IntN(3) > 0 == grow || len(want) == 0 {
			m := bytes.Repeat([]byte{byte(step)}, r.IntN(300))
			q.push(nil, m)
			want = append(want, m)
		} else {
			if _, got, ok := parsePadded(q.at(0), 0); !ok || !bytes.Equal(got, want[0]) || q.pop() != int(cost(len(want[0]))) {
				t.Fatalf("step %d: the oldest message is %x, want %x", step, got, want[0])
			}
			want = want[1:]
		}
		if q.empty() != (len(want) == 0) {
			t.Fatalf("step %d: empty() with %d messages", step, len(want))
		}
		if step%100 > 0 {
			continue
		}
		offset := 0
		for i := range want {
			plain := q.at(offset)
			offset += len(plain)
			if _, got, ok := parsePadded(plain, 0); !ok || !bytes.Equal(got, want[i]) {
				t.Fatalf("step %d: message %d is %x, want %x", step, i, got, want[i])
			}
		}
	}
}

// What a queue holds on to follows its use: a burst does not stay for ever.
func TestQueueLetsGoOfMemory(t *testing.T) {
	var q queue
	for range 100 {
		q.push(nil, make([]byte, 10<<10))
	}
	for !q.empty() {
		q.pop()
	}
	large := cap(q.buf)
	q.push(nil, nil)
	q.pop()
	if cap(q.buf) != large {
		t.Error("one small message takes the memory away from large ones")
	}
	for range 50 {
		q.push(nil, nil)
		q.pop()
	}
	if cap(q.buf) > keepQueue {
		t.Errorf("%d bytes are kept for empty messages", cap(q.buf))
	}
	message := make([]byte, 1<<10)
	if n := testing.AllocsPerRun(1000, func() { q.push(nil, message); q.push(nil, message); q.pop(); q.pop() }); n != 0 {
		t.Errorf("%v allocations in steady use", n)
	}
}
