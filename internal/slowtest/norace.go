//go:build !race && !js

package slowtest

const mode = false
