package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
)

// Defaults of [Retry].
const (
	DefaultRetryBase     = time.Second
	DefaultRetryCap      = 30 * time.Second
	DefaultRetryStable   = time.Minute
	DefaultMaxRetryAfter = 5 * time.Minute
)

// A Retry says how to dial again after a dial failed or a connection ended. The
// zero value is good for most programs: it goes on until the context ends or an
// error says that going on is of no use.
//
// The wait before the n-th new try is a random time between 0 and
// min(Cap, Base·2ⁿ⁻¹): exponential back-off with full jitter, after "Exponential
// Backoff And Jitter" in the AWS Architecture Blog. The randomness is what spreads
// the clients of a server that has just come back; no other wait does it as well.
//
// [ActionFor] is the table of what follows from which error. In a browser nothing
// is tried while the browser is offline, and its online event ends a wait at once,
// except where the server has asked for the wait.
//
// A Retry may be used for any number of connections at the same time. Negative
// values count as zero.
type Retry struct {
	// Base is the longest wait before the first new try. Zero means
	// DefaultRetryBase.
	Base time.Duration

	// Cap is the longest wait that a client chooses. Zero means DefaultRetryCap.
	Cap time.Duration

	// Stable is how long a connection has to hold to make the tries and waits
	// before it forgotten. Until then a server that takes connections only to drop
	// them is treated like one that is down. Zero means DefaultRetryStable.
	Stable time.Duration

	// MaxTries is how many dials there may be without a stable connection, the
	// first one included. Zero means any number.
	MaxTries int

	// MaxTime is how long there may be no stable connection. A dial is cancelled
	// when it is over, and no wait begins that would outlast it; where KeepTrying
	// rules, one that a server has asked for is not obeyed then. Zero means for ever.
	MaxTime time.Duration

	// MaxRetryAfter is how much of a time to wait is obeyed, be it in a Retry-After or in
	// the close of a connection, see [RetryAfter]. A random time as above
	// is added to it, so that those who were sent away together do not come back
	// together. Zero means DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration

	// Refresh is asked for a fresh credential before the next try, after an error
	// for which Decide says ActionRefresh, and has to make the dial function use
	// it. The context is that of Next, and with KeepTrying it ends after a minute: the
	// refusal, and the silence of whoever has to be asked, may both be a hop's. If it fails, it is asked again after a
	// wait, unless its error has a method Permanent() bool that returns true. Its
	// error is wrapped and not shown: it may hold the credential. Nil means that
	// there is no fresh one.
	Refresh func(ctx context.Context) error

	// Decide returns what to do about an error of a dial, of Refresh, or of a
	// connection that ended. Nil means ActionFor, which it may call for the errors
	// that it does not know itself. What it says holds, with KeepTrying too.
	Decide func(err error) RetryAction

	// KeepTrying makes a link outlast whatever a hop can answer, once there has been a
	// connection: an ingress without its service, a login page, a certificate that was
	// renewed too late, a close code that somebody made up. ActionFor has the table.
	// A credential that is refused, or cannot be refreshed, does not end it either. The
	// first dial still stops where another would not help, and the limits above hold.
	KeepTrying bool

	// Notify is told each state, in order, from a goroutine of its own that lives
	// while there is something to tell. When it is slow, the oldest of more than
	// 16 waiting events is left out, and the next one says so. A panic in it is
	// logged and survived. It must return some time. Nil means that nobody is told.
	Notify func(LinkEvent)
}

func (r Retry) withDefaults() Retry {
	set := func(value *time.Duration, otherwise time.Duration) {
		if *value <= 0 {
			*value = otherwise
		}
	}
	set(&r.Base, DefaultRetryBase)
	set(&r.Cap, DefaultRetryCap)
	set(&r.Stable, DefaultRetryStable)
	set(&r.MaxRetryAfter, DefaultMaxRetryAfter)
	r.Cap = max(r.Cap, r.Base)
	return r
}

// Dial calls dial until it returns a connection. The context bounds all of it, and
// not the life of the connection; the one that dial gets ends when dial returns.
// The error is a [*GaveUpError].
func (r Retry) Dial(ctx context.Context, dial func(context.Context) (Conn, error)) (Conn, error) {
	return NewRedialer(r, dial).Next(ctx, nil)
}

// A Redialer keeps a link: it makes the first connection, and each time that one
// has ended, the next.
//
//	d := transport.NewRedialer(transport.Retry{}, dial)
//	conn, err := d.Next(ctx, nil)
//	for err == nil {
//		conn, err = d.Next(ctx, use(conn)) // use returns the error that ended conn
//	}
type Redialer struct {
	retry  Retry
	dial   func(context.Context) (Conn, error)
	watch  func() network
	events notify.Notifier[LinkEvent]
	wake   chan struct{} // holds a token after Wake

	// Since the last stable connection. Used by Next only.
	tries   int       // dials
	waits   int       // waits that make the next one longer
	trouble time.Time // when it ended

	connected time.Time // when the last connection came; zero if there is none
	linked    bool      // there has been one
	stale     bool      // the credential has to be refreshed before the next try
	fresh     bool      // the last try was made with one just refreshed
}

// NewRedialer returns a Redialer without a connection. There is nothing to close.
func NewRedialer(r Retry, dial func(context.Context) (Conn, error)) *Redialer {
	r = r.withDefaults()
	return &Redialer{
		retry: r, dial: dial, watch: watchNetwork, wake: make(chan struct{}, 1),
		events: notify.Notifier[LinkEvent]{Name: "transport: Retry.Notify", Call: r.Notify,
			Note: func(e *LinkEvent, missed int) { e.Missed = missed }},
	}
}

// Next returns the next connection. The error that ended the last one decides what
// happens before: by [Retry.Decide], a wait, a fresh credential, or the end. If
// the last connection held for [Retry.Stable], the tries before it do not count
// any more. An error of what runs above the connection, such as a handshake that
// failed, may be given too. Whoever gives an error says that there was a connection.
//
// A nil error starts from new, at once and with nothing counted: for the first
// connection, or after a [*GaveUpError] when the user wants to go on.
//
// The context bounds the call, and not the life of the connection; the one that
// the dial function gets ends with the call. The error is a [*GaveUpError]. Next
// must not be called by two goroutines at the same time.
func (d *Redialer) Next(ctx context.Context, why error) (Conn, error) {
	d.begin(why)
	limited, cancel := d.limit(ctx)
	defer cancel()
	link := d.watch()
	defer link.stop()
	var rest pause
	for {
		if limited.Err() != nil {
			return nil, d.giveUp(outOfTime(ctx), ctx.Err(), why)
		}
		if why != nil {
			var reason GaveUpReason
			if rest, reason = d.plan(why); reason != 0 {
				return nil, d.giveUp(reason, nil, why)
			}
		}
		if !d.rest(limited, link, rest, why) {
			continue
		}
		conn, err := d.try(limited)
		if err == nil {
			return conn, nil
		}
		if limited.Err() == nil || why == nil {
			why = err // else it only says that the time is over
		}
	}
}

// Wake makes a wait of Next end now, for a button that says so, or for a program
// that knows when its network changes. A wait that the server has asked for goes
// on. It may be called at any time, and does nothing while nobody waits.
func (d *Redialer) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// begin counts the connection that has ended.
func (d *Redialer) begin(why error) {
	now := time.Now()
	held := !d.connected.IsZero() && now.Sub(d.connected) >= d.retry.Stable
	if why == nil || held || d.trouble.IsZero() {
		d.tries, d.waits, d.trouble, d.stale = 0, 0, now, false
	}
	d.connected, d.linked = time.Time{}, d.linked || why != nil
	select {
	case <-d.wake: // meant for an earlier wait
	default:
	}
}

// limit returns a context that ends with MaxTime, if there is such a limit.
func (d *Redialer) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.retry.MaxTime <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, d.trouble.Add(d.retry.MaxTime))
}

// A pause is what has to pass before a try.
type pause struct {
	until time.Time
	firm  bool // the server wants it so: nothing makes it shorter
}

// plan decides what follows from an error: a pause, or the end for a reason.
func (d *Redialer) plan(why error) (pause, GaveUpReason) {
	action := d.decide(why)
	switch {
	case action == ActionStop && !errors.Is(why, ErrRefresh):
		return pause{}, GaveUpStopped
	case action == ActionStop, action == ActionRefresh && !d.refreshable():
		return pause{}, GaveUpCredential
	case d.retry.MaxTries > 0 && d.tries >= d.retry.MaxTries:
		return pause{}, GaveUpTries
	}
	d.stale = action == ActionRefresh || d.stale && !d.lasting()
	p := d.pause(action, why)
	if d.outlasts(p) {
		return pause{}, GaveUpTime
	}
	return p, 0
}

// outlasts reports whether a pause goes on behind MaxTime.
func (d *Redialer) outlasts(p pause) bool {
	return d.retry.MaxTime > 0 && p.until.After(d.trouble.Add(d.retry.MaxTime))
}

// pause returns how long to wait. A link that is to last is not given up for what a hop
// may have asked for.
func (d *Redialer) pause(action RetryAction, why error) pause {
	wait, now := rand.N(d.window()), time.Now()
	d.waits++
	if action == ActionWait {
		p := pause{until: now.Add(d.asked(why, wait)), firm: true}
		if !d.lasting() || !d.outlasts(p) {
			return p
		}
	}
	return pause{until: now.Add(wait)}
}

// asked is the wait where a server wants to be left alone. Where it does not say how
// long, that is between a sixth of Cap and Cap: with the default the 5 to 30 seconds that
// the registry of close codes advises for 1012.
func (d *Redialer) asked(why error, wait time.Duration) time.Duration {
	if told := RetryAfter(why); told > 0 {
		return wait + min(told, d.retry.MaxRetryAfter)
	}
	least := d.retry.Cap / 6
	return least + rand.N(d.retry.Cap-least)
}

// window returns min(Cap, Base·2^waits).
func (d *Redialer) window() time.Duration {
	window := d.retry.Base
	for range d.waits {
		if window > d.retry.Cap/2 {
			return d.retry.Cap
		}
		window *= 2
	}
	return window
}

// rest waits until p is over and there is a network. It reports false if ctx ended.
func (d *Redialer) rest(ctx context.Context, link network, p pause, why error) bool {
	told := false // of the state that wasOffline stands for
	for wasOffline := false; ; {
		left, offline := time.Until(p.until), !link.online()
		if left <= 0 && !offline {
			return ctx.Err() == nil
		}
		if !told || offline != wasOffline {
			d.events.Emit(LinkEvent{State: LinkWaiting, Try: d.tries, Until: p.until, Offline: offline, Why: why})
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

// wakeups are the ways in which a sleep ends.
type wakeup int

const (
	ended wakeup = iota // the context
	due
	woken
	cameOnline
)

// sleep waits for the first wakeup. Without a network the time does not matter.
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

// try refreshes the credential if need be, and dials.
func (d *Redialer) try(ctx context.Context) (Conn, error) {
	d.tries++
	d.fresh = false
	d.events.Emit(LinkEvent{State: LinkConnecting, Try: d.tries})
	if d.stale {
		if err := d.refresh(ctx); err != nil {
			return nil, &refreshError{err}
		}
		d.stale, d.fresh = false, true
	}
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	d.connected, d.linked, d.fresh = time.Now(), true, false
	d.events.Emit(LinkEvent{State: LinkConnected, Try: d.tries})
	return conn, nil
}

// giveUp returns the error of Next, and tells of it.
func (d *Redialer) giveUp(reason GaveUpReason, ended, why error) error {
	err := &GaveUpError{Reason: reason, Tries: d.tries, Time: time.Since(d.trouble), Err: why, ended: ended}
	d.events.Emit(LinkEvent{State: LinkGaveUp, Try: d.tries, Why: err})
	return err
}

// outOfTime tells whose time is over, the caller's or MaxTime.
func outOfTime(ctx context.Context) GaveUpReason {
	if ctx.Err() != nil {
		return GaveUpContext
	}
	return GaveUpTime
}
