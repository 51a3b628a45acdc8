//go:build race

package transport_test

const slow = true // the race detector takes ten times as long
