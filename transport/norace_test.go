//go:build !race && !js

package transport_test

const slow = false
