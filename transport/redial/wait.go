package redial

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A pause is the wait before a try.
type pause struct {
	until time.Time
	firm  bool // the server asked for it: nothing shortens it
}

// plan decides what follows from an error: a pause, or giving up for a reason.
func (d *Redialer) plan(why error) (pause, GaveUpReason) {
	action := d.decide(why)
	switch {
	case action == Stop && !errors.Is(why, ErrRefresh):
		return pause{}, GaveUpStopped
	case action == Stop, action == Refresh && !d.refreshable():
		return pause{}, GaveUpCredential
	case d.policy.MaxTries > 0 && d.tries >= d.policy.MaxTries:
		return pause{}, GaveUpTries
	}
	d.stale = action == Refresh || d.stale && !d.lasting()
	p := d.pause(action, why)
	if d.outlasts(p) {
		return pause{}, GaveUpTime
	}
	return p, 0
}

// outlasts reports whether a pause ends after MaxTime.
func (d *Redialer) outlasts(p pause) bool {
	return d.policy.MaxTime > 0 && p.until.After(d.trouble.Add(d.policy.MaxTime))
}

// pause returns how long to wait. A lasting link ignores a requested wait that would outlast
// MaxTime, because a hop may have requested it.
func (d *Redialer) pause(action Action, why error) pause {
	wait, now := rand.N(d.window()), time.Now()
	d.waits++
	if action == Wait {
		p := pause{until: now.Add(d.asked(why, wait)), firm: true}
		if !d.lasting() || !d.outlasts(p) {
			return p
		}
	}
	return pause{until: now.Add(wait)}
}

// asked returns the wait that a server asked for. If it named no time, the wait is between a sixth
// of Cap and Cap: by default the 5 to 30 seconds that the registry of close codes advises for 1012.
func (d *Redialer) asked(why error, wait time.Duration) time.Duration {
	if told := transport.RetryAfter(why); told > 0 {
		return wait + min(told, d.policy.MaxRetryAfter)
	}
	least := d.policy.Cap / 6
	return least + rand.N(d.policy.Cap-least)
}

// window returns min(Cap, Base·2^waits).
func (d *Redialer) window() time.Duration {
	window := d.policy.Base
	for range d.waits {
		if window > d.policy.Cap/2 {
			return d.policy.Cap
		}
		window *= 2
	}
	return window
}

// rest waits until p is over and there is a network. It returns false if ctx ended.
func (d *Redialer) rest(ctx context.Context, link network, p pause, why error) bool {
	told := false // of the state that wasOffline stands for
	for wasOffline := false; ; {
		left, offline := time.Until(p.until), !link.online()
		if left <= 0 && !offline {
			return ctx.Err() == nil
		}
		if !told || offline != wasOffline {
			d.events.Emit(Event{State: Waiting, Try: d.tries, Until: p.until, Offline: offline, Why: why})
			told, wasOffline = true, offline
		}
		switch d.sleep(ctx, link, left, offline) {
		case ended:
			return false
		case woken:
			if !p.firm || time.Until(p.until) <= 0 {
				return true // even if offline: a browser may be wrong about that
			}
		case cameOnline:
			if !p.firm {
				p.until, d.waits = time.Time{}, 0 // what failed before is likely to work now
			}
		}
	}
}

// A wakeup says why a sleep ended.
type wakeup int

const (
	ended wakeup = iota // the context
	due
	woken
	cameOnline
)

// sleep waits for the first wakeup. While offline it ignores the time.
func (d *Redialer) sleep(ctx context.Context, link network, left time.Duration, offline bool) wakeup {
	var over <-chan time.Time
	if !offline {
		timer := time.NewTimer(left)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return ended
	case <-over:
		return due
	case <-d.wake:
		return woken
	case <-link.changed():
		return cameOnline
	}
}
