//go:build !js

package transport

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/hopseal/hopseal/internal/notify"
)

// A dialer makes one connection, phase by phase: prepare, then link, which reaches,
// tunnels and secures, then upgrade.
type dialer struct {
	target *url.URL
	host   string // of target, in ASCII
	proxy  *url.URL
	opts   *DialOptions
	info   Info
	socket net.Conn   // to the next hop, below everything
	tls    *tlsConfig // of the handshake with the target
	events *notify.Notifier[DialEvent]
	trace  func(DialEvent) // told at once; nil if nobody listens

	answered []string // see DialEvent, of the phase under way
}

// refuse is for what is wrong before anything is sent.
func (d *dialer) refuse(problem string) error {
	return &DialError{Target: shown(d.target), Proxy: d.info.Proxy, Problem: problem, permanent: true}
}

// in runs a phase: it bounds its time, completes its error and tells Notify. A
// failed phase has closed the connection that it was given.
func (d *dialer) in(ctx context.Context, phase Phase, limit time.Duration, do func(context.Context, *DialEvent) *DialError) error {
	ctx, cancel := withPhaseTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	e := DialEvent{Phase: phase, Target: shown(d.target), Proxy: d.info.Proxy}
	d.answered = nil
	e.Err = do(ctx, &e)
	e.Answered = d.answered
	e.Took = time.Since(begin)
	if e.Err != nil {
		e.Err.Phase, e.Err.Target, e.Err.Proxy = phase, e.Target, e.Proxy
	}
	d.events.Emit(e)
	if d.trace != nil {
		d.trace(e)
	}
	if e.Err == nil {
		return nil
	}
	return e.Err
}

// withPhaseTimeout bounds ctx by one of DialTimeouts.
func withPhaseTimeout(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		limit = phaseTimeout
	}
	return context.WithTimeout(ctx, limit)
}

// failure is the error of a phase whose cause may be shown.
func failure(problem string, permanent bool, cause error) *DialError {
	return &DialError{Problem: problem, permanent: permanent, err: cause}
}

// unblock makes what waits for conn fail when ctx ends. Before conn is used
// otherwise, done has to be called, which reports whether ctx has not ended.
func unblock(ctx context.Context, conn net.Conn) (done func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

var errLongAnswer = errors.New("the answer is too long")
