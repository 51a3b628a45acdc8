//go:build !js

package transport

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// DiagnoseOptions changes how [Diagnose] looks. Nil means the zero value.
type DiagnoseOptions struct {
	// Dial is how the server is dialled. Its subprotocols are offered after that of
	// a diagnosis. KeepAlive, MaxMessage, Notify and Sealed are not used: nothing
	// that needs sealing is sent.
	Dial *DialOptions

	// Idle is how long the connection is watched in silence at the end, to find
	// hops that forget it: zero skips that. Two minutes find most.
	Idle time.Duration
}

// Diagnose dials a WebSocket server step by step and reports what every hop on the
// way did: the proxy, DNS, TCP, TLS, the upgrade, an echo and a ping. It says what is
// wrong and what to do, and, where the server answers diagnoses (see
// [DiagnoseHandler]), whether its TLS is the client's. It sends nothing but the
// handshake, random bytes to servers that ask for them, and pings.
//
// The context bounds all of it.
func Diagnose(ctx context.Context, rawURL string, opts *DiagnoseOptions) *Report {
	if opts == nil {
		opts = &DiagnoseOptions{}
	}
	d := &diagnosis{report: &Report{Time: time.Now(), HopTLS: HopTLSUnknown}, idle: opts.Idle}
	u, err := parseTarget(rawURL)
	if err != nil {
		d.fail("url", "", err)
		return d.report
	}
	d.report.Target = shown(u)
	conn, err := d.dial(ctx, u, opts.Dial)
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

// fail adds a step that failed with an error of this package.
func (d *diagnosis) fail(step, hop string, err error) {
	f := Finding{Step: step, Hop: hop, Result: Failed, Problem: err.Error()}
	var dial *DialError
	if errors.As(err, &dial) {
		f.Problem = dial.Problem
	}
	d.add(f)
}

// dial reports the phases of a dial.
func (d *diagnosis) dial(ctx context.Context, u *url.URL, given *DialOptions) (*wsConn, error) {
	opts := DialOptions{}
	if given != nil {
		opts = *given
	}
	opts.Sealed, opts.KeepAlive, opts.MaxMessage, opts.Notify = true, -1, diagnoseLimit, nil
	opts.Subprotocols = append([]string{diagnoseProtocol}, opts.Subprotocols...)
	dialer := newDialer(u, &opts)
	dialer.trace = func(e DialEvent) { d.add(explainEvent(e, dialer, d.report.Time)) }
	conn, err := dialer.dial(ctx)
	if err != nil && len(d.report.Findings) == 0 { // refused before the first packet
		d.fail("url", "", err)
	}
	if err != nil {
		return nil, err
	}
	d.report.TLS = conn.info.TLS
	d.report.HopTLS = hopTLS(conn.info.TLS, nil)
	return conn, nil
}
