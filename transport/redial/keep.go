package redial

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// lasting reports whether the link is to outlast whatever a hop can answer, see Policy.KeepTrying.
func (d *Redialer) lasting() bool { return d.policy.KeepTrying && d.linked }

// decide returns what to do after an error.
func (d *Redialer) decide(why error) Action {
	decide := d.policy.Decide
	switch {
	case decide != nil:
	case d.lasting():
		decide = keepTrying
	default:
		decide = ActionFor
	}
	action := decide(why)
	if action == Refresh && d.lasting() && d.policy.Refresh == nil {
		return waitOrRetry(why)
	}
	return action
}

// refreshable reports whether there may be another credential after a refused one.
func (d *Redialer) refreshable() bool {
	return d.lasting() || d.policy.Refresh != nil && !d.fresh
}

// refreshTime bounds Policy.Refresh for a lasting link. After it the Redialer tries the old
// credential.
const refreshTime = time.Minute

func (d *Redialer) refresh(ctx context.Context) error {
	if d.lasting() {
		limited, cancel := context.WithTimeout(ctx, refreshTime)
		defer cancel()
		ctx = limited
	}
	return d.policy.Refresh(ctx)
}

// keepTrying is ActionFor for a lasting link.
func keepTrying(err error) Action {
	if ownEnd(err) {
		return Stop
	}
	switch action := ActionFor(err); action {
	case Wait, Refresh:
		return action
	}
	return waitOrRetry(err)
}

// waitOrRetry returns Wait if the error holds a time to wait.
func waitOrRetry(err error) Action {
	if transport.RetryAfter(err) > 0 {
		return Wait
	}
	return Retry
}

// ownEnd reports whether this end, or a layer above that can tell, wanted to stop.
func ownEnd(err error) bool {
	var verdict interface{ Permanent() bool }
	var end *transport.CloseError
	switch {
	case errors.Is(err, ErrRefresh):
		return false
	case errors.As(err, &verdict):
		_, dial := verdict.(*transport.DialError)
		return !dial && verdict.Permanent()
	case errors.As(err, &end):
		return !end.Remote && (end.Err == nil || errors.Is(end.Err, context.Canceled))
	}
	return errors.Is(err, context.Canceled)
}
