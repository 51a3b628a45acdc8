//go:build !race && !js

package envelope

const slow = false
