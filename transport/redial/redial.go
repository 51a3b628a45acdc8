package redial

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
	"github.com/hopseal/hopseal/transport"
)

// A Redialer keeps a link: it makes the first connection, and the next one each time that a
// connection has ended.
//
//	d := redial.New(redial.Policy{}, dial)
//	conn, err := d.Next(ctx, nil)
//	for err == nil {
//		conn, err = d.Next(ctx, use(conn)) // use returns the error that ended conn
//	}
type Redialer struct {
	policy Policy
	dial   func(context.Context) (transport.Conn, error)
	watch  func() network
	events notify.Notifier[Event]
	wake   chan struct{} // holds a token after Wake

	// Counted since the last stable connection, and used by Next only.
	tries   int       // dials
	waits   int       // waits that lengthen the next one
	trouble time.Time // when the last stable connection ended

	connected time.Time // when the last connection came; zero if there is none
	linked    bool      // there has been a connection
	stale     bool      // the credential has to be refreshed before the next try
	fresh     bool      // the last try used a credential that was just refreshed
}

// New returns a Redialer without a connection. There is nothing to close.
func New(p Policy, dial func(context.Context) (transport.Conn, error)) *Redialer {
	p = p.withDefaults()
	return &Redialer{
		policy: p, dial: dial, watch: watchNetwork, wake: make(chan struct{}, 1),
		events: notify.Notifier[Event]{Name: "redial: Policy.Notify", Call: p.Notify,
			Note: func(e *Event, missed int) { e.Missed = missed }},
	}
}

// Next returns the next connection. why is the error that ended the last one. It decides what comes
// first: a wait, a fresh credential, or giving up, see [Policy.Decide]. If the last connection held
// for [Policy.Stable], earlier tries no longer count. why may also come from a layer above the
// connection, such as a handshake that failed. A non-nil why says that there was a connection.
//
// If why is nil, Next starts anew, at once and with nothing counted: for the first connection, or
// after a [*GaveUpError] when the user wants to go on.
//
// The context bounds the call, but not the life of the connection; the context that the dial
// function gets ends with the call. The error is a [*GaveUpError]. Two goroutines must not call
// Next at the same time.
func (d *Redialer) Next(ctx context.Context, why error) (transport.Conn, error) {
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
			why = err // otherwise err only says that the time is over
		}
	}
}

// Wake ends a wait of Next now: for a button, or for a program that knows when its network changes.
// It does not end a wait that the server has asked for. It may be called at any time, and does
// nothing if nobody waits.
func (d *Redialer) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// begin takes account of the connection that has ended.
func (d *Redialer) begin(why error) {
	now := time.Now()
	held := !d.connected.IsZero() && now.Sub(d.connected) >= d.policy.Stable
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
	if d.policy.MaxTime <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, d.trouble.Add(d.policy.MaxTime))
}

// try refreshes the credential if need be, and dials.
func (d *Redialer) try(ctx context.Context) (transport.Conn, error) {
	d.tries++
	d.fresh = false
	d.events.Emit(Event{State: Connecting, Try: d.tries})
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
	d.events.Emit(Event{State: Connected, Try: d.tries})
	return conn, nil
}

// giveUp returns the error of Next and reports it.
func (d *Redialer) giveUp(reason GaveUpReason, ended, why error) error {
	err := &GaveUpError{Reason: reason, Tries: d.tries, Time: time.Since(d.trouble), Err: why, ended: ended}
	d.events.Emit(Event{State: GaveUp, Try: d.tries, Why: err})
	return err
}

// outOfTime returns whose time is over, the caller's or MaxTime.
func outOfTime(ctx context.Context) GaveUpReason {
	if ctx.Err() != nil {
		return GaveUpContext
	}
	return GaveUpTime
}
