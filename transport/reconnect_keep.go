package transport

import (
	"context"
	"errors"
	"time"
)

// lasting reports whether nothing that a hop can answer ends the tries now.
func (d *Redialer) lasting() bool { return d.retry.KeepTrying && d.linked }

// decide returns what an error leads to.
func (d *Redialer) decide(why error) RetryAction {
	decide := d.retry.Decide
	switch {
	case decide != nil:
	case d.lasting():
		decide = keepTrying
	default:
		decide = ActionFor
	}
	action := decide(why)
	if action == ActionRefresh && d.lasting() && d.retry.Refresh == nil {
		return waitOrRetry(why)
	}
	return action
}

// refreshable reports whether a refused credential can be followed by another one.
func (d *Redialer) refreshable() bool {
	return d.lasting() || d.retry.Refresh != nil && !d.fresh
}

// refreshTime is how long a link that is to last waits for a credential. Then it tries the one
// that there is.
const refreshTime = time.Minute

func (d *Redialer) refresh(ctx context.Context) error {
	if d.lasting() {
		limited, cancel := context.WithTimeout(ctx, refreshTime)
		defer cancel()
		ctx = limited
	}
	return d.retry.Refresh(ctx)
}

// keepTrying is ActionFor for a link that is to outlast what hops answer.
func keepTrying(err error) RetryAction {
	if ownEnd(err) {
		return ActionStop
	}
	switch action := ActionFor(err); action {
	case ActionWait, ActionRefresh:
		return action
	}
	return waitOrRetry(err)
}

// waitOrRetry waits where somebody has asked for it.
func waitOrRetry(err error) RetryAction {
	if RetryAfter(err) > 0 {
		return ActionWait
	}
	return ActionRetry
}

// ownEnd reports whether this end wanted to stop, or a layer above that can tell.
func ownEnd(err error) bool {
	var verdict interface{ Permanent() bool }
	var end *CloseError
	switch {
	case errors.Is(err, ErrRefresh):
		return false
	case errors.As(err, &verdict):
		_, dial := verdict.(*DialError)
		return !dial && verdict.Permanent()
	case errors.As(err, &end):
		return !end.Remote && (end.Err == nil || errors.Is(end.Err, context.Canceled))
	}
	return errors.Is(err, context.Canceled)
}
