package transport_test

import (
	"context"

	"github.com/hopseal/hopseal/transport"
)

// local is for dials without TLS: all servers here are on this machine.
var local = &transport.DialOptions{Policy: transport.Development}

// locally returns opts, or the zero value for nil, with that policy.
func locally(opts *transport.DialOptions) *transport.DialOptions {
	changed := *local
	if opts != nil {
		changed = *opts
	}
	changed.Policy = transport.Development
	return &changed
}

// cancelled returns a context that has ended, with which nothing is dialled.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
