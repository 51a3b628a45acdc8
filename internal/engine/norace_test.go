//go:build !race && !js

package engine

const slow = false
