package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// Claims records in Redis which messages consumers are working on and which are done. At most one
// consumer holds the claim for a message, for as long as its lease. Once the message is done, nobody
// gets a claim for it again.
type Claims struct {
	Redis *redis.Client // better not the queue's, see docs/queue.md
	Name  string        // of the queue: consumers of one queue use one name
	Lease time.Duration // longer than handling a message takes
}

// Errors of a claim. The Opener reports them as envelope.ErrReplayUnavailable.
var (
	errHeld = errors.New("another consumer has the message in hand")
	errLost = errors.New("the store does not know since when it remembers: new, or its contents are lost (see Create)")
	errUsed = errors.New("a Delivery is for one attempt")
	errAge  = errors.New("the store remembers for less than MaxAge (see Create)")
)

// create never makes a store claim to remember more than it does. It only raises since. If it raises keep,
// it raises since too, so that messages whose claims are forgotten are refused.
var create = redis.NewScript(`
	local record, since, keep, slack = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
	local now = redis.call('TIME')[1] * 1000
	local had, kept = unpack(redis.call('HMGET', record, 'since', 'keep'))
	if had then
		since = math.max(since, tonumber(had))
		if keep > tonumber(kept) then since = math.max(since, now + 1000 - tonumber(kept) + slack) end
	end
	redis.call('HSET', record, 'since', string.format('%.0f', since), 'keep', string.format('%.0f', keep))
	return 'ok'`)

// Create tells the store that it remembers every claim for messages dated after since, for maxAge. A
// person calls it once, with the zero time, before anything has been opened. A service must not call it
// at its start: it would open replays after the store was lost. After the store has lost claims, or was
// restored from a backup, call Create with a time five minutes ahead: then messages that may have been
// opened are refused. To change maxAge, call it with the zero time: an existing store still refuses
// messages that it may have forgotten.
func (c *Claims) Create(ctx context.Context, maxAge time.Duration, since time.Time) error {
	const slack = 2 * keys.ClockSkew // an Opener asks for little more than one ClockSkew
	return create.Run(ctx, c.Redis, []string{c.record()},
		max(0, since.UnixMilli()), (maxAge + slack).Milliseconds(), slack.Milliseconds()).Err()
}

func (c *Claims) record() string { return "{" + c.Name + "}:claims" }

// A Delivery is one attempt of one consumer to handle one message. It is the
// envelope.ReplayCache for that attempt, and for one goroutine.
type Delivery struct {
	claims *Claims
	token  string // names this attempt in the store
	used   atomic.Bool

	key   string // of the claim, once there is one
	tries int64  // attempts at the message so far, this one too, by all consumers, living or dead
	until time.Time
}

// triesOf returns the key under which Redis counts the attempts at a message.
func triesOf(key string) string { return key + ":tries" }

// Deliver begins an attempt.
func (c *Claims) Deliver() *Delivery { return &Delivery{claims: c, token: rand.Text()} }

// claim runs in one step, and by the store's clock. The consumers' clocks do not matter.
var claim = redis.NewScript(`
	local record, claim, tries = KEYS[1], KEYS[2], KEYS[3]
	local token, dated, untilMs, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
	local time = redis.call('TIME')
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	local since, keep = unpack(redis.call('HMGET', record, 'since', 'keep'))
	if not since then return {'lost'} end
	if untilMs - dated > tonumber(keep) then return {'age'} end
	if dated <= tonumber(since) or now >= untilMs then return {'late'} end
	if redis.call('SET', claim, token, 'NX', 'PX', lease) then
		local n = redis.call('INCR', tries)
		redis.call('PEXPIREAT', tries, untilMs)
		return {'first', n}
	end
	local held = redis.call('GET', claim)
	if held == token then return {'first', tonumber(redis.call('GET', tries))} end -- the answer got lost
	if string.sub(held, 1, 4) == 'done' then return {'done'} end
	return {'held'}`)

// Claim implements envelope.ReplayCache.
func (d *Delivery) Claim(ctx context.Context, c envelope.ReplayClaim) (bool, error) {
	if d.used.Swap(true) {
		return false, errUsed
	}
	key := "{" + d.claims.Name + "}:claim:" + c.Key.String()
	said, err := claim.Run(ctx, d.claims.Redis, []string{d.claims.record(), key, triesOf(key)}, d.token,
		c.Header.Time.UnixMilli(), c.Until.UnixMilli(), d.claims.Lease.Milliseconds()).Slice()
	if err != nil {
		return false, err
	}
	switch said[0] {
	case "first":
		d.key, d.until = key, c.Until
		d.tries, _ = said[1].(int64)
		return true, nil
	case "held":
		return false, errHeld
	case "lost":
		return false, errLost
	case "age":
		return false, errAge
	}
	return false, nil // done, or too late to tell
}

// done keeps the claim until the message is too old for every Opener, whoever holds the claim: the
// message has been handled.
var done = redis.NewScript(`
	local held, mine = redis.call('GET', KEYS[1]), 'done ' .. ARGV[1]
	redis.call('SET', KEYS[1], mine, 'PXAT', ARGV[2])
	redis.call('DEL', KEYS[2])
	if not held or held == ARGV[1] or held == mine then return 'own' end -- mine: the answer got lost
	return 'other'`)

// Done records that the message has been handled: nobody opens it again. Acknowledge the message to the
// queue after Done.
func (d *Delivery) Done(ctx context.Context) error {
	if d.key == "" {
		return errors.New("nothing was claimed")
	}
	said, err := done.Run(ctx, d.claims.Redis, []string{d.key, triesOf(d.key)}, d.token, d.until.UnixMilli()).Text()
	if err == nil && said == "other" {
		err = fmt.Errorf("handling took longer than the lease of %v: another consumer has handled the message too, or still does", d.claims.Lease)
	}
	return err
}

var release = redis.NewScript(`
	if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
	return 'ok'`)

// Release gives the claim back before its lease ends, because handling failed.
func (d *Delivery) Release(ctx context.Context) error {
	if d.key == "" {
		return nil
	}
	return release.Run(ctx, d.claims.Redis, []string{d.key}, d.token).Err()
}
