//go:build race || js

package envelope

// slow is set where every bit of every byte would take minutes.
const slow = true
