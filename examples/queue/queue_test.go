package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if os.Getenv("QUEUE_TEST_VICTIM") != "" {
		victim()
	}
	leak.Main(m)
}

// Everything that the page tells, as one run of the program.
func TestPageCommand(t *testing.T) {
	s := newServer(t)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-redis", s.socket()}, &out); err != nil {
		t.Fatal(err)
	}
	// The attacker misses what has been handled before it looks.
	for _, line := range []string{"dies with order 7 in hand", "rotated the keys of both ends", "30 orders handled, 0 of them twice; [1-9][0-9]* replays refused"} {
		if !regexp.MustCompile(line).MatchString(out.String()) {
			t.Errorf("%q is not in\n%s", line, out.String())
		}
	}
}

func TestOneOfManyClaims(t *testing.T) {
	claims, e := newTestClaims(t, newServer(t).client(), time.Minute), newEnds(t)
	sealed := e.seal(t, "m")
	var first, held atomic.Int32
	var winner atomic.Pointer[Delivery]
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			switch d, err := e.open(t.Context(), claims, sealed); {
			case err == nil:
				first.Add(1)
				winner.Store(d)
			case errors.Is(err, errHeld) && errors.Is(err, envelope.ErrReplayUnavailable):
				held.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	if all.Wait(); first.Load() != 1 || held.Load() != 63 {
		t.Fatalf("%d claimed it, %d were told that it is held", first.Load(), held.Load())
	}
	if err := winner.Load().Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := e.open(t.Context(), claims, sealed)
	expect(t, err, envelope.ErrOpen, envelope.ReasonReplay)
}

// Released, the message opens again at once; not released, after the lease; done,
// never.
func TestLeaseAndRelease(t *testing.T) {
	claims, e := newTestClaims(t, newServer(t).client(), time.Minute), newEnds(t)
	ctx, sealed := t.Context(), e.seal(t, "m")
	d, err := e.open(ctx, claims, sealed)
	if err != nil || d.Release(ctx) != nil {
		t.Fatal(err)
	}
	dead, err := e.open(ctx, claims, sealed)
	if err != nil {
		t.Fatal("released:", err)
	}
	_, err = e.open(ctx, claims, sealed)
	expect(t, err, errHeld, 0)
	if first, err := dead.Claim(ctx, envelope.ReplayClaim{}); first || err != errUsed {
		t.Errorf("a second claim of one delivery: %v, %v", first, err)
	}
	if ttl := claims.Redis.PTTL(ctx, dead.key).Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("the claim lasts for %v", ttl)
	}
	if err := claims.Redis.Del(ctx, dead.key).Err(); err != nil { // the lease has ended
		t.Fatal(err)
	}
	second, err := e.open(ctx, claims, sealed)
	if err != nil {
		t.Fatal("after the lease:", err)
	}
	// The first one lives after all. It can neither take the claim away nor hide that
	// both have handled the message.
	if err := dead.Release(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = e.open(ctx, claims, sealed)
	expect(t, err, errHeld, 0)
	if err := dead.Done(ctx); err == nil || !strings.Contains(err.Error(), "longer than the lease") {
		t.Errorf("done twice: %v", err)
	}
	if err := second.Release(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = e.open(ctx, claims, sealed)
	expect(t, err, envelope.ErrOpen, envelope.ReasonReplay)
	if ttl := claims.Redis.TTL(ctx, dead.key).Val(); ttl < maxAge || ttl > maxAge+2*keys.ClockSkew {
		t.Errorf("what is done is remembered for %v", ttl)
	}
}

// A consumer is killed between the claim and Done. The message is handled by the
// other, once; copies of it that an attacker has put in are refused.
func TestKilledConsumer(t *testing.T) {
	s, e := newServer(t), newEnds(t)
	queue := s.client()
	claims := newTestClaims(t, queue, 300*time.Millisecond)
	sealed := e.seal(t, "m")
	add := func() {
		if err := queue.XAdd(t.Context(), &redis.XAddArgs{Stream: "orders", Values: map[string]any{field: sealed}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := queue.XGroupCreateMkStream(t.Context(), "orders", group, "0").Err(); err != nil {
		t.Fatal(err)
	}
	add()
	var key string
	d, err := e.open(t.Context(), &Claims{Redis: queue, Name: "orders", Lease: time.Minute}, sealed)
	if err != nil || d.Release(t.Context()) != nil {
		t.Fatal(err)
	}
	key = d.key
	kill := exec.Command(os.Args[0])
	kill.Env = append(os.Environ(), "QUEUE_TEST_VICTIM="+key, "QUEUE_TEST_SOCKET="+s.socket())
	if out, err := kill.CombinedOutput(); kill.ProcessState.ExitCode() != -1 {
		t.Fatalf("the victim was not killed: %v\n%s", err, out)
	}
	add()
	var handled atomic.Int32
	e.consumer(t, queue, claims, "other", func(context.Context, []byte, envelope.Header) error { handled.Add(1); return nil })
	eventually(t, "the queue is empty", empty(t.Context(), queue))
	add()
	eventually(t, "the queue is empty", empty(t.Context(), queue))
	if n := handled.Load(); n != 1 || queue.XLen(t.Context(), "orders"+replays).Val() != 2 {
		t.Errorf("handled %d times, %d refused", n, queue.XLen(t.Context(), "orders"+replays).Val())
	}
}

// victim is another process: it takes the message, claims it, and is killed.
func victim() {
	ctx, queue := context.Background(), connect(os.Getenv("QUEUE_TEST_SOCKET"))
	c := &Consumer{Queue: queue, Claims: &Claims{Redis: queue, Name: "orders", Lease: 300 * time.Millisecond}, Name: "victim"}
	got, err := c.next(ctx)
	if err != nil || len(got) != 1 {
		fmt.Println("got", got, err)
		os.Exit(1)
	}
	now := time.Now()
	said, err := claim.Run(ctx, queue, []string{c.Claims.record(), os.Getenv("QUEUE_TEST_VICTIM"), triesOf(os.Getenv("QUEUE_TEST_VICTIM"))}, "victim",
		now.UnixMilli(), now.Add(maxAge).UnixMilli(), c.Claims.Lease.Milliseconds()).Slice()
	if err != nil || said[0] != "first" {
		fmt.Println(said, err)
		os.Exit(1)
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

// The consumers were down for an hour. By default everything is refused; with MaxAge
// everything is handled, once, and replays of it are refused.
func TestDownForAnHour(t *testing.T) {
	s := newServer(t)
	begin := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begin.Add(-time.Hour))) // the bubble's clock begins in 2000, Redis has the machine's
		e := newEnds(t)
		var waiting [][]byte
		for i := range 20 {
			waiting = append(waiting, e.seal(t, fmt.Sprint("order ", i)))
		}
		time.Sleep(time.Hour)
		queue := connect(s.socket())
		defer queue.Close()
		claims := newTestClaims(t, queue, time.Minute)
		late := e
		late.opener.MaxAge = 0
		for range 2 {
			_, err := late.open(t.Context(), claims, waiting[0])
			expect(t, err, envelope.ErrOpen, envelope.ReasonTime)
		}
		for _, sealed := range waiting {
			d, err := e.open(t.Context(), claims, sealed)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Done(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = e.open(t.Context(), claims, sealed)
			expect(t, err, envelope.ErrOpen, envelope.ReasonReplay)
		}
		// A consumer whose clock is behind asks about what the store has forgotten: the
		// store's clock rules.
		time.Sleep(time.Millisecond)
		e.opener.MaxAge = 30 * time.Minute
		far := envelope.ReplayClaim{Header: envelope.Header{Time: time.Now().Add(-time.Hour)}, Until: time.Now().Add(-time.Minute)}
		if first, err := claims.Deliver().Claim(t.Context(), far); first || err != nil {
			t.Errorf("past Until: %v, %v", first, err)
		}
	})
}

// While the store of the claims is down, slow, or has lost its contents, nothing is
// lost, and nothing is handled twice.
func TestClaimsUnavailable(t *testing.T) {
	queueServer, claimsServer, e := newServer(t), newServer(t), newEnds(t)
	queue := queueServer.client()
	claims := newTestClaims(t, claimsServer.client(), 300*time.Millisecond)
	ctx := t.Context()
	handled := map[string]int{}
	var mu sync.Mutex
	count := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, times := range handled {
			n += times
		}
		return n
	}
	for i := range 2 {
		e.consumer(t, queue, claims, fmt.Sprint("consumer-", i), func(_ context.Context, message []byte, _ envelope.Header) error {
			mu.Lock()
			defer mu.Unlock()
			handled[string(message)]++
			return nil
		})
	}
	send := func(sealed []byte) {
		t.Helper()
		if err := queue.XAdd(ctx, &redis.XAddArgs{Stream: "orders", Values: map[string]any{field: sealed}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	first := e.seal(t, "first")
	send(first)
	eventually(t, "the first is handled", empty(ctx, queue))

	claimsServer.stop()
	second := e.seal(t, "second")
	send(second)
	send(first)
	eventually(t, "both are in the hands of consumers", func() bool {
		p, err := queue.XPending(ctx, "orders", group).Result()
		return err == nil && p.Count == 2
	})
	_, err := e.open(ctx, claims, second)
	expect(t, err, envelope.ErrReplayUnavailable, 0)
	claimsServer.start()
	eventually(t, "the queue is empty", empty(ctx, queue))
	if count() != 2 {
		t.Errorf("handled after the store was down: %v", handled)
	}

	if err := claims.Redis.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	third := e.seal(t, "third")
	for _, sealed := range [][]byte{first, second, third} {
		_, err := e.open(ctx, claims, sealed)
		expect(t, err, errLost, 0)
	}
	if err := claims.Create(ctx, maxAge, time.Now().Add(keys.ClockSkew)); err != nil {
		t.Fatal(err)
	}
	for _, sealed := range [][]byte{first, second, third} {
		_, err := e.open(ctx, claims, sealed)
		expect(t, err, envelope.ErrOpen, envelope.ReasonReplay)
	}
	if err := claims.Create(ctx, time.Hour, time.Time{}); err != nil {
		t.Fatal(err)
	}
	_, err = e.open(ctx, claims, third)
	expect(t, err, errAge, 0)
	if n := queue.XLen(ctx, "orders"+replays).Val(); n != 1 || queue.XLen(ctx, "orders"+refused).Val() != 0 {
		t.Errorf("%d refused, want the replay alone", n)
	}
}

// A store that does not answer is waited for as long as the context lasts.
func TestSlowClaims(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // nobody accepts
	client := connect(silent.Addr().String())
	defer client.Close()
	e := newEnds(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = e.open(ctx, &Claims{Redis: client, Name: "orders", Lease: time.Minute}, e.seal(t, "m"))
	expect(t, err, envelope.ErrReplayUnavailable, 0)
	if ctx.Err() == nil {
		t.Error("it did not wait")
	}
}

// A handler that fails gets the message again. What no key here opens is kept aside.
func TestHandlerFailsAndForgery(t *testing.T) {
	queue, e := newServer(t).client(), newEnds(t)
	claims := newTestClaims(t, queue, 200*time.Millisecond)
	var tries atomic.Int32
	ids := make(chan envelope.MessageID, 10)
	e.consumer(t, queue, claims, "consumer", func(_ context.Context, _ []byte, h envelope.Header) error {
		ids <- h.ID
		if tries.Add(1) < 3 {
			return errors.New("the database is down")
		}
		return nil
	})
	forged := e.seal(t, "forged")
	forged[len(forged)-1] ^= 1
	for _, values := range []map[string]any{{field: e.seal(t, "m")}, {field: forged}, {"something": "else"}} {
		if err := queue.XAdd(t.Context(), &redis.XAddArgs{Stream: "orders", Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the queue is empty", empty(t.Context(), queue))
	if first, second, third := <-ids, <-ids, <-ids; first != second || second != third || tries.Load() != 3 {
		t.Errorf("%d tries", tries.Load())
	}
	kept := queue.XRange(t.Context(), "orders"+refused, "-", "+").Val()
	if len(kept) != 2 || kept[0].Values["reason"] != "proof does not verify" || kept[1].Values["reason"] != "malformed" {
		t.Errorf("kept aside: %v", kept)
	}
}
