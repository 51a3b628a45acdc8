//go:build !race

package transport_test

const slow = false
