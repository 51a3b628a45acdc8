// Package freeport finds ports for the tests whose listeners come and go. A port that the system
// chooses is of the range from which connections get theirs too: while the listener is away, any
// connection of any test may take it.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports below the ranges of Linux (32768), macOS and Windows (49152), and above those of services.
const first, end = 10_000, 32_000

// Address returns an address on loopback at which nobody listens, and which no connection gets.
func Address(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(end-first)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
