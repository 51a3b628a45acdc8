package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

const (
	group   = "consumers" // of the stream: each entry goes to one of them
	field   = "sealed"    // of an entry
	refused = ":refused"  // the stream of what does not open or cannot be handled, behind the queue's name
	replays = ":replays"  // the same, of what was opened before: it must not push the others out
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
	Tries  int    // attempts at a message before it is put aside; 0 for as many as fit into MaxAge

	// Opener is asked for each message, so that a rotated key is used at once.
	Opener func(ctx context.Context) (envelope.Opener, error)

	// Handle acts on a message. ctx ends with the lease. Where it fails, the message
	// comes again; header.ID is the same then.
	Handle func(ctx context.Context, message []byte, header envelope.Header) error

	begun bool // with new entries: the next look is for those that were left
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

// next returns a new entry, and every other time one that its consumer has left for
// longer than a lease, since it died or did not get on: messages that cannot be handled
// do not keep new ones out. It waits for a second at most, as Run does when ctx ends.
func (c *Consumer) next(ctx context.Context) ([]redis.XMessage, error) {
	if c.begun = !c.begun; !c.begun {
		left, _, err := c.Queue.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: c.Claims.Name, Group: group, Consumer: c.Name, MinIdle: c.Claims.Lease, Start: "0", Count: 1,
		}).Result()
		if err != nil || len(left) > 0 {
			return left, err
		}
	}
	got, err := c.Queue.XReadGroup(ctx, &redis.XReadGroupArgs{
		Streams: []string{c.Claims.Name, ">"}, Group: group, Consumer: c.Name, Count: 1, Block: min(c.Claims.Lease/2, time.Second),
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
	finish := context.WithoutCancel(ctx) // what is done is taken out, also while the consumer stops
	switch reason := envelope.ReasonOf(err); {
	case err == nil:
		err = c.remove(finish, entry, nil)
	case reason == envelope.ReasonReplay:
		err = c.remove(finish, entry, c.aside(replays, sealed, reason.String()))
	case reason == envelope.ReasonSize: // too much to be kept
		err = c.remove(finish, entry, c.aside(refused, "", fmt.Sprintf("%v: %d bytes", reason, len(sealed))))
	case reason != 0:
		err = c.remove(finish, entry, c.aside(refused, sealed, reason.String()))
	case errors.Is(err, errTries):
		err = c.remove(finish, entry, c.aside(refused, sealed, err.Error()))
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	slog.Warn("a message stays in the queue", "consumer", c.Name, "entry", entry.ID, "error", err)
	if !errors.Is(err, errHeld) {
		wait(ctx, min(c.Claims.Lease/2, time.Second)) // or all of the queue would be taken, in vain
	}
}

// errTries is for a message that cannot be handled: its handler fails each time, or its
// consumers die of it.
var errTries = errors.New("handled in vain too often")

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
	if c.Tries > 0 && delivery.tries > int64(c.Tries) {
		return errors.Join(delivery.Release(ctx),
			fmt.Errorf("%w: to try again, delete %s from the store of the claims and put the message into the queue", errTries, triesOf(delivery.key)))
	}
	if err := c.Handle(ctx, message, header); err != nil {
		return errors.Join(err, delivery.Release(context.WithoutCancel(ctx)))
	}
	return delivery.Done(context.WithoutCancel(ctx))
}

// aside is the entry of a stream that keeps, for a person, what was refused: it may be
// genuine, and the keys here wrong. It keeps the latest 10,000. An attacker can fill it,
// and no other.
func (c *Consumer) aside(stream, sealed, reason string) *redis.XAddArgs {
	return &redis.XAddArgs{
		Stream: c.Claims.Name + stream, MaxLen: 10_000, Approx: true,
		Values: map[string]any{field: sealed, "reason": reason},
	}
}

// remove takes an entry out of the queue, and puts it aside where there is something to
// be kept.
func (c *Consumer) remove(ctx context.Context, entry redis.XMessage, aside *redis.XAddArgs) error {
	_, err := c.Queue.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if aside != nil {
			slog.Warn("put aside", "consumer", c.Name, "entry", entry.ID, "in", aside.Stream)
			p.XAdd(ctx, aside)
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
func Peer(ctx context.Context, queue *redis.Client, want trust.Expected, verifier trust.Verifier) (*keys.PublicIdentity, error) {
	b, err := queue.GetRange(ctx, "identity:"+want.Fingerprint.String(), 0, keys.MaxPublicSize).Bytes() // who wrote it is not known yet
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("%v has published no statement", want.Fingerprint)
	}
	peer, err := parsed.Parse(b)
	if err != nil {
		return nil, err
	}
	return peer, verifier.Verify(ctx, want, peer)
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
