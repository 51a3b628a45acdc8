package keystore

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/keys"
)

const (
	// rotationCheck is how often Run looks at what it cannot foresee: messages, bytes and a clock
	// that jumps. It is also how long Run waits after a failure.
	rotationCheck = time.Minute
	// reportAgain is the least time between two log lines about the same thing.
	reportAgain = 6 * time.Hour
)

// Run rotates by the policy until ctx ends or the store is closed, and returns the error of that. It
// logs failures to the policy's Logger, with the time at which the identity expires if nothing
// changes, and tries again every minute: a disk that is full for a moment ends nothing. Meanwhile it
// takes requests, as [Store.Serve] does.
func (s *Store) Run(ctx context.Context, p RotationPolicy) error {
	reports := &reporter{log: cmp.Or(p.Logger, slog.Default()), store: s, logged: map[string]time.Time{}}
	if life := p.SignatureLife(); life < keys.MaxLifetime {
		reports.log.Warn("keys: signing keys change so often that messages verify for a short time only: a longer Age lets them wait for 30 days",
			"store", s.Path(), "age", p.Age, "verify", life)
	}
	defer s.serveBeside(ctx, p, reports.log)()
	for {
		next, err := s.Rotate(p)
		if errors.Is(err, ErrClosed) {
			return err
		}
		reports.jumped()
		reports.report(err, s.Filling(p))
		wait := rotationCheck
		if !next.IsZero() && err == nil {
			wait = min(wait, max(next.Sub(s.clock()), time.Second)) // the clock may be ahead of the tally
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.control.closing:
			return ErrClosed
		case <-time.After(wait):
		}
	}
}

// A reporter logs the results of rotations.
type reporter struct {
	log    *slog.Logger
	store  *Store
	logged map[string]time.Time // when a line of that kind was last written
	jump   time.Time            // what the clock showed after the jump that was last logged
}

func (r *reporter) report(err error, filling []*KeysetFullError) {
	switch {
	case onlyNotDurable(err):
		if r.due(notDurable) {
			r.log.Warn("keys: a rotation took effect, and may not survive a power cut: the store is written anew every minute",
				"store", r.store.Path(), "error", err)
		}
		return
	case err != nil:
		r.failed(err)
		return
	}
	told := len(r.logged)
	for _, kind := range []string{failure, expired, notDurable} {
		delete(r.logged, kind)
	}
	if len(r.logged) < told {
		r.log.Info("keys: rotation of a store works again", "store", r.store.Path())
	}
	for _, e := range filling {
		if r.due(e.Keyset.String()) {
			r.log.Warn("keys: a keyset will be full", "store", r.store.Path(), "error", e)
		}
	}
}

// jumped logs a jump that is not confirmed yet, once.
func (r *reporter) jumped() {
	if from, to, doubted := r.store.ClockJump(); doubted && !to.Equal(r.jump) {
		r.jump = to
		r.log.Warn("keys: the clock of this machine has jumped: until it has been confirmed, for an hour or by another start, keys take no step, and only the identity's statement is renewed",
			"store", r.store.Path(), "from", from.UTC(), "to", to.UTC())
	}
}

// Kinds of lines.
const failure, expired, notDurable = "failure", "expired", "not durable"

func (r *reporter) failed(err error) {
	public := r.store.Identity().Public()
	late := !public.Revoked() && !r.store.clock().Before(public.Expires())
	switch {
	case late && r.due(expired):
		r.log.Error("keys: rotation of a store failed, and its identity has expired: peers refuse it until a rotation works",
			"store", r.store.Path(), "error", err, "expired", public.Expires().UTC())
	case !late && r.due(failure):
		r.log.Warn("keys: rotation of a store failed, and is tried every minute: it has to work before the identity expires",
			"store", r.store.Path(), "error", err, "expires", public.Expires().UTC())
	}
}

// due reports whether to write a line of that kind now.
func (r *reporter) due(kind string) bool {
	now := time.Now()
	if at, told := r.logged[kind]; told && now.Sub(at) < reportAgain {
		return false
	}
	r.logged[kind] = now
	return true
}
