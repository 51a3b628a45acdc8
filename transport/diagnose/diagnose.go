//go:build !js

package diagnose

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/internal/dialtrace"
)

// Options changes how [Run] looks. Nil means the zero value.
type Options struct {
	// Dial is how the server is dialled. Its subprotocols are offered after that of
	// a diagnosis. KeepAlive, MaxMessage, Notify and Sealed are not used: nothing
	// that needs sealing is sent.
	Dial *transport.DialOptions

	// Idle is how long the connection is watched in silence at the end, to find
	// hops that forget it: zero skips that. Two minutes find most.
	Idle time.Duration
}

// Run dials a WebSocket server step by step and reports what every hop on the
// way did: the proxy, DNS, TCP, TLS, the upgrade, an echo and a ping. It says what is
// wrong and what to do, and, where the server answers diagnoses (see
// [Handler]), whether its TLS is the client's. It sends nothing but the
// handshake, random bytes to servers that ask for them, and pings.
//
// The context bounds all of it.
func Run(ctx context.Context, rawURL string, opts *Options) *Report {
	if opts == nil {
		opts = &Options{}
	}
	d := &diagnosis{report: &Report{Time: time.Now(), HopTLS: HopTLSUnknown}, idle: opts.Idle}
	conn, err := d.dial(ctx, rawURL, opts.Dial)
	if err == nil {
		d.examine(ctx, conn)
	}
	return d.report
}

// A diagnosis is a Report that is being made.
type diagnosis struct {
	report *Report
	idle   time.Duration
}

func (d *diagnosis) add(f Finding) { d.report.Findings = append(d.report.Findings, f) }

// dial reports the phases of a dial.
func (d *diagnosis) dial(ctx context.Context, rawURL string, given *transport.DialOptions) (transport.Conn, error) {
	opts := transport.DialOptions{}
	if given != nil {
		opts = *given
	}
	opts.Sealed, opts.KeepAlive, opts.MaxMessage, opts.Notify = true, -1, maxMessage, nil
	opts.Subprotocols = append([]string{subprotocol}, opts.Subprotocols...)
	conn, err := transport.Dial(dialtrace.With(ctx, d.phase), rawURL, &opts)
	if err != nil {
		d.refused(err)
		return nil, err
	}
	d.report.TLS = conn.Info().TLS
	d.report.HopTLS = hopTLS(conn.Info().TLS, nil)
	return conn, nil
}

// phase reports a phase that is over.
func (d *diagnosis) phase(event any) {
	e := event.(transport.DialEvent)
	d.report.Target = e.Target
	d.add(explainEvent(e, d.report.Time))
}

// refused reports what was wrong before the first packet. Behind that a phase has said it.
func (d *diagnosis) refused(err error) {
	if len(d.report.Findings) > 0 {
		return
	}
	f := Finding{Step: "url", Result: Failed, Problem: err.Error()}
	var dial *transport.DialError
	if errors.As(err, &dial) {
		d.report.Target, f.Problem = dial.Target, dial.Problem
	}
	d.add(f)
}
