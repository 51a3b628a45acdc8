package envelope

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// A ReplayCache remembers which messages were opened, for all processes that open
// with the same keys. [ReplayGuard] is the one in memory, for one process. Another
// stands over a store that the processes share, such as Redis or a table in SQL:
// docs/queue.md has one.
type ReplayCache interface {
	// Claim records, in one atomic step, that a message is being opened. The Opener calls
	// it after it has verified the sender's proof.
	//
	// True means that no call before this one claimed the same Key: the message opens.
	// False means that it was opened before, and refuses it for good. An error means that
	// the cache does not know, or that another process has not finished with the message:
	// it does not open now, and may be opened later. See [ErrReplayUnavailable].
	//
	// If an answer gets lost, the cache's client may ask its store again. It must then
	// recognize its own claim, by a token in it, or the message opens for nobody.
	//
	// The cache must keep the key until the claim's Until by the cache's own clock, and
	// must return false for a claim whose Until has passed by that clock: so the clocks of
	// the processes do not matter. Claim must return once ctx is done.
	Claim(ctx context.Context, c ReplayClaim) (first bool, err error)
}

// A ReplayClaim is what a [ReplayCache] is asked about.
type ReplayClaim struct {
	// Key names the message, its sender and its receiver: all that a shared store
	// needs to know. No other message of any sender has it.
	Key ReplayKey
	// Until is when the cache may forget the claim: no opener accepts the message after
	// it, even with a clock that is five minutes behind the store's. MaxAge decides how long
	// after Header.Time it is, the same for all claims. If it is longer than before, the
	// cache should return an error, since it has forgotten what was opened then.
	Until time.Time
	// Header is the message's, authenticated.
	Header Header

	to readers
}

// A ReplayKey names a message for a [ReplayCache]: a SHA-256 of the message id with
// the sender and the receiver. One sender cannot use up the ids of another, and a
// store that several identities share keeps their copies of a message apart.
type ReplayKey [32]byte

// String returns 64 hexadecimal digits.
func (k ReplayKey) String() string { return hex.EncodeToString(k[:]) }

// ErrReplayUnavailable says that the Opener's [ReplayCache] did not decide. The error also
// matches the cache's own error, and does not match [ErrOpen]: the message was not refused
// and can be opened later. Leave it in the queue.
var ErrReplayUnavailable = errors.New("envelope: the replay cache did not decide, so the message stays unopened and can be opened later")

// MaxAgeLimit is the largest [Opener] MaxAge: 30 days, as long as a statement lasts.
// A message that waits for longer is in a store rather than on its way.
const MaxAgeLimit = keys.MaxLifetime

const (
	// replayMargin is how long a claim is kept after its message has become too old,
	// for openers whose clocks are behind the store's.
	replayMargin = keys.ClockSkew + time.Second
	// replayTimeout bounds how long an Opener waits for a ReplayCache if the context has no
	// deadline.
	replayTimeout = 10 * time.Second
)

// inTime reports whether a message's time is neither too old nor in the future.
func inTime(t time.Time, maxAge time.Duration, now time.Time) bool {
	return !t.Before(now.Add(-maxAge)) && !t.After(now.Add(keys.ClockSkew))
}

// WithContext returns a copy of the Opener that passes ctx to its [ReplayCache], for one
// message or for all of a worker's. If ctx has no deadline, the cache has ten seconds. Beside
// the cache, an Opener waits only for the source of a stream, and that does not see ctx.
func (o *Opener) WithContext(ctx context.Context) *Opener {
	with := *o
	with.ctx = ctx
	return &with
}

func (o *Opener) maxAge() time.Duration {
	if o.MaxAge == 0 {
		return replayWindow
	}
	return o.MaxAge
}

// inTime reports whether the Opener accepts a message's time.
func (o *Opener) inTime(h *Header) bool {
	return o.Replay == nil && o.MaxAge == 0 || inTime(h.Time, o.maxAge(), time.Now())
}

// once refuses a message that is too old, or was opened before.
func (o *Opener) once(h *Header) error {
	if g, inMemory := o.Replay.(*ReplayGuard); inMemory {
		return g.claim(*h, o.maxAge(), time.Now())
	}
	if !o.inTime(h) {
		return fail(ReasonTime)
	}
	if o.Replay == nil {
		return nil
	}
	return o.claim(h)
}

func (o *Opener) claim(h *Header) error {
	ctx, cancel := o.replayContext()
	defer cancel()
	first, err := false, ctx.Err()
	if err == nil {
		first, err = o.Replay.Claim(ctx, ReplayClaim{Key: o.replayKey(h), Until: h.Time.Add(o.maxAge() + replayMargin), Header: *h, to: o.readers()})
	}
	switch {
	case errors.Is(err, ErrOpen): // of another message, inside the cache: this one was not refused
		return fmt.Errorf("%w: %v", ErrReplayUnavailable, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrReplayUnavailable, err)
	case !first:
		return fail(ReasonReplay)
	}
	return nil
}

func (o *Opener) replayContext() (context.Context, context.CancelFunc) {
	ctx := o.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, replayTimeout)
}

// replayKey returns the key of a claim. docs/protocol.md specifies it, since processes of
// several versions may share a cache.
func (o *Opener) replayKey(h *Header) ReplayKey {
	from := senderOf(h)
	var receiver keys.Fingerprint
	if o.Identity != nil {
		receiver = o.Identity.Fingerprint()
	}
	size := binary.BigEndian.AppendUint64(nil, uint64(len(from.party)))
	return sha256.Sum256(label.EnvelopeReplay.With(h.ID[:], from.root[:], receiver[:], size, []byte(from.party), []byte(o.Party)))
}

// checkReplay returns an error if the caller has set Replay or MaxAge wrongly.
func (o *Opener) checkReplay() error {
	if o.MaxAge < 0 || o.MaxAge > MaxAgeLimit {
		return errors.New("envelope: an Opener's MaxAge is from 0, for five minutes, to 30 days")
	}
	if o.Replay == nil && !o.InsecureAllowReplay {
		return errors.New("envelope: an Opener needs a Replay guard")
	}
	if g, inMemory := o.Replay.(*ReplayGuard); inMemory && (g == nil || !g.made) {
		return errNoGuard
	}
	return nil
}

// checkFirst refuses a guard that is the first one of other keys than the Opener's.
func (o *Opener) checkFirst() error {
	if g, inMemory := o.Replay.(*ReplayGuard); inMemory && !g.first.match(o.readers()) {
		return errOtherKeys
	}
	return nil
}
