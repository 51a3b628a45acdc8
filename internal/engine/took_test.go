package engine

import (
	"testing"
	"time"
)

// What a stored end has not taken may be a window of the smallest messages. Taking one of them
// must not cost as much as there are.
func TestA56TakingOneOfManyMessagesIsCheap(t *testing.T) {
	const many = 1 << 20
	now := time.Now()
	i := inbox{window: many * minBucket, granted: many * minBucket, stored: true}
	for range many {
		i.take(now, 1, false)
	}
	began := time.Now()
	for n := uint64(1); n <= 1<<15; n++ {
		i.consumeNumber(now, n, 1)
		if i.safe().number != n {
			t.Fatalf("behind message %d all is safe through %d", n, i.safe().number)
		}
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("taking 32,768 of %d messages took %v", many, d)
	}
}
