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
	group   = "consumers" // consumer group of the stream: each entry goes to one consumer
	field   = "sealed"    // the field of an entry that has the message
	refused = ":refused"  // after the queue's name: the stream of messages that do not open or cannot be handled
	replays = ":replays"  // the same, for replays, which must not push the others out
)

// Send puts a sealed message at the end of the queue.
func Send(ctx context.Context, queue *redis.Client, name string, s *envelope.Sealer, message []byte) error {
	sealed, err := s.Seal(nil, message)
	if err != nil {
		return err
	}
	return queue.XAdd(ctx, &redis.XAddArgs{Stream: name, Values: map[string]any{field: sealed}}).Err()
}

// A Consumer takes messages out of a queue. Any number of consumers, in any number of processes,
// share the work.
type Consumer struct {
	Queue  *redis.Client
	Claims *Claims
	Name   string // of this consumer
	Tries  int    // attempts at a message before it is put aside; 0 for as many as fit into MaxAge

	// Opener is called for each message, so that a rotated key is used at once.
	Opener func(ctx context.Context) (envelope.Opener, error)

	// Handle acts on a message. Its ctx ends with the lease. If Handle fails, the message comes
	// again, with the same header.ID.
	Handle func(ctx context.Context, message []byte, header envelope.Header) error

	lastNew bool // the last call of next looked for new entries
}

// Run takes messages until ctx ends.
func (c *Consumer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		entries, err := c.next(ctx)
		if redis.HasErrorPrefix(err, "NOGROUP") { // the queue is new, or was lost
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

// next returns a new entry. Every other time it first looks for an entry that some consumer has left
// for longer than a lease, because that consumer died or could not handle it. Taking turns, messages
// that cannot be handled do not keep new ones out. next waits for a second at most, so Run ends soon
// after ctx.
func (c *Consumer) next(ctx context.Context) ([]redis.XMessage, error) {
	if c.lastNew = !c.lastNew; !c.lastNew {
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

// take opens the message in an entry, handles it, and takes the entry out of the queue. If nothing can
// be decided now, the entry stays there.
func (c *Consumer) take(ctx context.Context, entry redis.XMessage) {
	sealed, _ := entry.Values[field].(string)
	err := c.handle(ctx, []byte(sealed))
	finish := context.WithoutCancel(ctx) // takes handled messages out even while the consumer stops
	switch reason := envelope.ReasonOf(err); {
	case err == nil:
		err = c.remove(finish, entry, nil)
	case reason == envelope.ReasonReplay:
		err = c.remove(finish, entry, c.aside(replays, sealed, reason.String()))
	case reason == envelope.ReasonSize: // too large to keep
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
		wait(ctx, min(c.Claims.Lease/2, time.Second)) // else it would take the whole queue, in vain
	}
}

// errTries is the error for a message that cannot be handled: its handler fails each time, or its
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

// aside returns the entry of a refused message for a stream that a person looks at: the message may be
// genuine, and the keys here wrong. The stream keeps the latest 10,000. An attacker can fill this stream,
// but no other.
func (c *Consumer) aside(stream, sealed, reason string) *redis.XAddArgs {
	return &redis.XAddArgs{
		Stream: c.Claims.Name + stream, MaxLen: 10_000, Approx: true,
		Values: map[string]any{field: sealed, "reason": reason},
	}
}

// remove takes an entry out of the queue, and adds aside to its stream if it is not nil.
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

// Publish writes an identity's current statement to where its peers look for it. Nobody has to trust the
// Redis that holds it: the root has signed the statement.
func Publish(ctx context.Context, queue *redis.Client, id *keys.Identity) error {
	return queue.Set(ctx, "identity:"+id.Fingerprint().String(), id.Public().Bytes(), 0).Err()
}

// Peer returns the statement that a peer has published. The verifier must accept it: trust.KnownPeers
// refuses unknown peers, and statements older than one that it has seen.
func Peer(ctx context.Context, queue *redis.Client, want trust.Expected, verifier trust.Verifier) (*keys.PublicIdentity, error) {
	b, err := queue.GetRange(ctx, "identity:"+want.Fingerprint.String(), 0, keys.MaxPublicSize).Bytes() // anybody may have written it
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
