//go:build !hopseal_npm

// Package netless is what packages need of net that are part of the core of the npm package too.
// There JavaScript has the network, and net takes 10 KB of brotli as soon as it is imported.
package netless

import "net"

// ErrClosed is net.ErrClosed.
var ErrClosed = net.ErrClosed

// JoinHostPort is net.JoinHostPort.
func JoinHostPort(host, port string) string { return net.JoinHostPort(host, port) }
