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

// A dialer makes one connection in three steps: prepare, link (which runs reach, tunnel and
// secure), and upgrade.
type dialer struct {
	target *url.URL
	host   string // the host of target, in ASCII
	proxy  *url.URL
	opts   *DialOptions
	info   Info
	socket net.Conn   // the TCP connection to the next hop
	tls    *tlsConfig // for the handshake with the target
	events *notify.Notifier[DialEvent]
	trace  func(DialEvent) // called at once with each event; nil if nobody listens

	answered []string // DialEvent.Answered of the current phase
}

// refuse returns the error for a problem that is found before anything is sent.
func (d *dialer) refuse(problem string) error {
	return &DialError{Target: safeTarget(d.target), Proxy: d.info.Proxy, Problem: problem, permanent: true}
}

// runPhase runs a phase: it bounds the time, completes the error and calls Notify. A phase that
// fails closes the connection that it was given.
func (d *dialer) runPhase(ctx context.Context, phase Phase, limit time.Duration, do func(context.Context, *DialEvent) *DialError) error {
	ctx, cancel := withPhaseTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	e := DialEvent{Phase: phase, Target: safeTarget(d.target), Proxy: d.info.Proxy}
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

// failure returns the error of a phase. The text of cause may be shown.
func failure(problem string, permanent bool, cause error) *DialError {
	return &DialError{Problem: problem, permanent: permanent, err: cause}
}

// unblock makes pending reads and writes of conn fail when ctx ends. The caller must call done
// before it uses conn for anything else. done reports whether ctx has not ended.
func unblock(ctx context.Context, conn net.Conn) (done func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

var errLongAnswer = errors.New("the answer is too long")
