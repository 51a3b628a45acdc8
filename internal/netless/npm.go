//go:build hopseal_npm

// Package netless stands in for package net.
package netless

import (
	"errors"
	"strings"
)

// ErrClosed says what net.ErrClosed says.
var ErrClosed = errors.New("use of closed network connection")

// JoinHostPort does what net.JoinHostPort does.
func JoinHostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
