package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

const (
	group   = "consumers" // of the stream: each entry goes to one of them
	field   = "sealed"    // of an entry
	refused = ":refused"  // the stream of what does not open, behind the queue's name
)

// Send puts a sealed message at the end of the queue.
func Send(ctx context.Context, queue *redis.Client, name string, s *envelope.Sealer, message []byte) error {
	sealed, err := s.Seal(nil, message)
	if err != nil {
		return err
	}
	return queue.XAdd(ctx, &redis.XAddArgs{Stream: name, Values: map[string]any{field: sealed}}).Err()
}

// A Consumer takes messages out of a queue. Any number of them, in any number of
// processes, share the work.
type Consumer struct {
	Queue  *redis.Client
	Claims *Claims
	Name   string // of this consumer

	// Opener is asked for each message, so that a rotated key is used at once.
	Opener func(ctx context.Context) (envelope.Opener, error)

	// Handle acts on a message. ctx ends with the lease. Where it fails, the message
	// comes again; header.ID is the same then.
	Handle func(ctx context.Context, message []byte, header envelope.Header) error
}

// Run takes messages until ctx ends.
func (c *Consumer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		entries, err := c.next(ctx)
		if redis.HasErrorPrefix(err, "NOGROUP") { // a queue that is new, or was lost
			err = c.Queue.XGroupCreateMkStream(ctx, c.Claims.Name, group, "0").Err()
		}
		if err != nil && ctx.Err() == nil && !redis.HasErrorPrefix(err, "BUSYGROUP") {
			slog.Warn("the queue does not answer", "consumer", c.Name, "error", err)
			wait(ctx, time.Second)
		}
		for _, entry := range entries {
			c.take(ctx, entry)
		}
	}
}

// next returns an entry that its consumer has left for longer than a lease, since it
// died or did not get on, or else a new one. It waits for one for half a lease.
func (c *Consumer) next(ctx context.Context) ([]redis.XMessage, error) {
	left, _, err := c.Queue.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: c.Claims.Name, Group: group, Consumer: c.Name, MinIdle: c.Claims.Lease, Start: "0", Count: 1,
	}).Result()
	if err != nil || len(left) > 0 {
		return left, err
	}
	got, err := c.Queue.XReadGroup(ctx, &redis.XReadGroupArgs{
		Streams: []string{c.Claims.Name, ">"}, Group: group, Consumer: c.Name, Count: 1, Block: c.Claims.Lease / 2,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil // nothing came
	}
	if err != nil || len(got) == 0 {
		return nil, err
	}
	return got[0].Messages, nil
}

// take opens an entry, handles what is in it, and takes it out of the queue. What
// cannot be decided now stays there.
func (c *Consumer) take(ctx context.Context, entry redis.XMessage) {
	sealed, _ := entry.Values[field].(string)
	err := c.handle(ctx, []byte(sealed))
	switch {
	case err == nil:
		err = c.remove(ctx, entry, "")
	case errors.Is(err, envelope.ErrOpen):
		err = c.remove(ctx, entry, envelope.ReasonOf(err).String())
	}
	if err != nil && ctx.Err() == nil {
		slog.Warn("a message stays in the queue", "consumer", c.Name, "entry", entry.ID, "error", err)
	}
}

// handle opens a message and acts on it, once.
func (c *Consumer) handle(ctx context.Context, sealed []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.Claims.Lease)
	defer cancel()
	opener, err := c.Opener(ctx)
	if err != nil {
		return err
	}
	delivery := c.Claims.Deliver()
	opener.Replay = delivery
	message, header, err := opener.WithContext(ctx).Open(nil, sealed)
	if err != nil {
		return err // envelope.ErrOpen refuses it for good, all else leaves it in the queue
	}
	if err := c.Handle(ctx, message, header); err != nil {
		return errors.Join(err, delivery.Release(context.WithoutCancel(ctx)))
	}
	return delivery.Done(context.WithoutCancel(ctx))
}

// remove takes an entry out of the queue. What was refused is kept aside for a person:
// it may be genuine, and the keys here wrong. An attacker can fill that stream, and
// no other.
func (c *Consumer) remove(ctx context.Context, entry redis.XMessage, reason string) error {
	_, err := c.Queue.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if reason != "" {
			slog.Warn("refused", "consumer", c.Name, "entry", entry.ID, "reason", reason)
			p.XAdd(ctx, &redis.XAddArgs{
				Stream: c.Claims.Name + refused, MaxLen: 10_000, Approx: true,
				Values: map[string]any{field: entry.Values[field], "reason": reason},
			})
		}
		p.XAck(ctx, c.Claims.Name, group, entry.ID)
		p.XDel(ctx, c.Claims.Name, entry.ID)
		return nil
	})
	return err
}

// Publish puts an identity's current statement where its peers look for it. The store
// need not be trusted: the root has signed the statement.
func Publish(ctx context.Context, queue *redis.Client, id *keys.Identity) error {
	return queue.Set(ctx, "identity:"+id.Fingerprint().String(), id.Public().Bytes(), 0).Err()
}

// Peer returns the statement that a peer has published. Trust knows the peer, and
// refuses a statement that is older than one seen before.
func Peer(ctx context.Context, queue *redis.Client, want keys.Expected, trust keys.Verifier) (*keys.PublicIdentity, error) {
	b, err := queue.Get(ctx, "identity:"+want.Fingerprint.String()).Bytes()
	if err != nil {
		return nil, err
	}
	peer, err := parsed.Parse(b)
	if err != nil {
		return nil, err
	}
	return peer, trust.Verify(ctx, want, peer)
}

var parsed keys.PublicCache

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
