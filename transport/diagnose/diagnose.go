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
	// Dial says how Run dials the server. Run offers the subprotocol of a diagnosis
	// first, then those in Dial. It ignores KeepAlive, MaxMessage, Notify and Sealed:
	// it sends nothing that needs sealing.
	Dial *transport.DialOptions

	// Idle is how long Run watches the silent connection at the end, to find hops
	// that cut idle connections. Zero skips that. Two minutes find most such hops.
	Idle time.Duration
}

// Run dials a WebSocket server and reports how each step went: the proxy, DNS, TCP, TLS,
// the upgrade, an echo and a ping. It says what is wrong and what to do. If the server
// serves [Handler], Run also says whether TLS reaches from the client to the server. Run
// sends nothing but the handshake, random bytes to a server that serves [Handler], and
// pings.
//
// The context bounds the whole diagnosis.
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

// A diagnosis is a Report in the making.
type diagnosis struct {
	report *Report
	idle   time.Duration
}

func (d *diagnosis) add(f Finding) { d.report.Findings = append(d.report.Findings, f) }

// dial connects and reports each phase.
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

// phase reports a finished phase.
func (d *diagnosis) phase(event any) {
	e := event.(transport.DialEvent)
	d.report.Target = e.Target
	d.add(explainEvent(e, d.report.Time))
}

// refused reports a dial that failed before its first phase. A later failure is already in
// the report of its phase.
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
