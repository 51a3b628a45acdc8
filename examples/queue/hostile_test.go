package main

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

func add(t *testing.T, queue *redis.Client, sealed []byte) {
	t.Helper()
	if err := queue.XAdd(t.Context(), &redis.XAddArgs{Stream: "orders", Values: map[string]any{field: sealed}}).Err(); err != nil {
		t.Fatal(err)
	}
}

// A service that creates its claims at each start, or changes maxAge, opens nothing
// that the store may have forgotten.
func TestCreateAgain(t *testing.T) {
	claims, e := newTestClaims(t, newServer(t).client(), time.Minute), newEnds(t)
	ctx := t.Context()
	create := func(maxAge time.Duration, since time.Time) {
		t.Helper()
		if err := claims.Create(ctx, maxAge, since); err != nil {
			t.Fatal(err)
		}
	}
	create(maxAge, time.Time{})
	if _, err := e.open(ctx, claims, e.seal(t, "m")); err != nil {
		t.Fatal("created twice:", err)
	}
	create(maxAge, time.Now().Add(keys.ClockSkew)) // the store is back from a backup
	create(maxAge, time.Time{})                    // and a service starts
	_, err := e.open(ctx, claims, e.seal(t, "m"))
	expect(t, err, envelope.ErrOpen, envelope.ReasonReplay)

	claims.Name = "raised"
	create(time.Hour, time.Time{})
	create(2*maxAge, time.Time{})
	claimAt := func(age time.Duration) bool {
		dated := time.Now().Add(-age)
		c := envelope.ReplayClaim{Header: envelope.Header{Time: dated}, Until: dated.Add(2*maxAge + keys.ClockSkew + time.Second)}
		c.Key[0] = byte(age / time.Minute)
		first, err := claims.Deliver().Claim(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	if !claimAt(59*time.Minute) || claimAt(time.Hour+time.Second) || claimAt(maxAge) {
		t.Error("raised from an hour to two days: it refuses what an hour's store has forgotten, and nothing else")
	}
}

// Done says the same when it is asked again, since the answer got lost.
func TestDoneTwice(t *testing.T) {
	claims, e := newTestClaims(t, newServer(t).client(), time.Minute), newEnds(t)
	d, err := e.open(t.Context(), claims, e.seal(t, "m"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Done(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Messages that cannot be handled, each of which takes its whole lease, neither keep
// new ones out nor come back for ever.
func TestPoisonousMessages(t *testing.T) {
	queue, e := newServer(t).client(), newEnds(t)
	claims := newTestClaims(t, queue, 50*time.Millisecond)
	var good, bad, before atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	c := &Consumer{
		Queue: queue, Claims: claims, Name: "consumer", Tries: 3, Opener: func(context.Context) (envelope.Opener, error) { return e.opener, nil },
		Handle: func(ctx context.Context, message []byte, _ envelope.Header) error {
			if string(message) == "good" {
				before.Store(bad.Load())
				good.Add(1)
				return nil
			}
			bad.Add(1)
			<-ctx.Done()
			return ctx.Err()
		},
	}
	for range 5 {
		add(t, queue, e.seal(t, "bad"))
	}
	stopped := make(chan struct{})
	go func() { c.Run(ctx); close(stopped) }()
	defer func() { cancel(); <-stopped }()
	eventually(t, "all were tried and left", func() bool { return bad.Load() >= 5 })
	add(t, queue, e.seal(t, "good"))
	eventually(t, "the good one is handled", func() bool { return good.Load() == 1 })
	if n := before.Load(); n == 15 {
		t.Error("the good one was handled after every attempt at the bad ones")
	}
	eventually(t, "the queue is empty", empty(t.Context(), queue))
	kept := queue.XRange(t.Context(), "orders"+refused, "-", "+").Val()
	if len(kept) != 5 || bad.Load() != 15 {
		t.Fatalf("%d put aside, after %d attempts", len(kept), bad.Load())
	}
	// A person has mended the handler, and does what the entry says.
	reason, _ := kept[0].Values["reason"].(string)
	_, rest, _ := strings.Cut(reason, "delete ")
	key, _, _ := strings.Cut(rest, " ")
	if n, err := claims.Redis.Del(t.Context(), key).Result(); n != 1 || err != nil {
		t.Fatalf("%q: %v", reason, err)
	}
	sealed, _ := kept[0].Values[field].(string)
	if d, err := e.open(t.Context(), claims, []byte(sealed)); err != nil || d.tries != 1 {
		t.Error(err)
	}
}

// What is too large is not kept, and replays push nothing out of what is kept for a
// person.
func TestWhatAnAttackerPutsIn(t *testing.T) {
	queue, e := newServer(t).client(), newEnds(t)
	e.opener.MaxSize = 1 << 20
	claims := newTestClaims(t, queue, time.Minute)
	var handled atomic.Int32
	e.consumer(t, queue, claims, "consumer", func(context.Context, []byte, envelope.Header) error { handled.Add(1); return nil })
	sealed := e.seal(t, "m")
	for range 3 {
		add(t, queue, sealed)
	}
	add(t, queue, make([]byte, 8<<20))
	add(t, queue, nil)
	eventually(t, "the queue is empty", empty(t.Context(), queue))
	kept := queue.XRange(t.Context(), "orders"+refused, "-", "+").Val()
	if len(kept) != 2 || kept[0].Values[field] != "" || kept[0].Values["reason"] != "too large: 8388608 bytes" {
		t.Errorf("%d put aside", len(kept))
	}
	if n := queue.XLen(t.Context(), "orders"+replays).Val(); n != 2 || handled.Load() != 1 {
		t.Errorf("handled %d times, %d replays", handled.Load(), n)
	}
}

// A consumer stops within seconds, whatever its lease, and takes what it has handled
// out of the queue.
func TestConsumerStops(t *testing.T) {
	queue, e := newServer(t).client(), newEnds(t)
	claims := newTestClaims(t, queue, time.Hour)
	handling := make(chan struct{})
	stop := e.consumer(t, queue, claims, "consumer", func(ctx context.Context, _ []byte, _ envelope.Header) error {
		close(handling)
		<-ctx.Done() // it is being stopped, and gets done all the same
		return nil
	})
	add(t, queue, e.seal(t, "m"))
	<-handling
	stop()
	if n := queue.XLen(t.Context(), "orders").Val(); n != 0 {
		t.Errorf("%d entries left", n)
	}
	idle := e.consumer(t, queue, claims, "idle", nil)
	eventually(t, "it waits for a message", func() bool {
		for _, c := range strings.Split(queue.ClientList(t.Context()).Val(), "\n") {
			if strings.Contains(c, "cmd=xreadgroup") {
				return true
			}
		}
		return false
	})
	begin := time.Now()
	if idle(); time.Since(begin) > 20*time.Second {
		t.Error("the idle one took", time.Since(begin))
	}
}

// An address that is empty is no reason to panic.
func TestAddressIsEmpty(t *testing.T) {
	if err := connect("").Close(); err != nil {
		t.Error(err)
	}
}
