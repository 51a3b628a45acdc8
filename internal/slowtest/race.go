//go:build race || js

package slowtest

const mode = true
