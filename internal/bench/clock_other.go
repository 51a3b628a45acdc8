//go:build !unix

package main

import "time"

// cpuTime is wall time: the busier the machine, the less its figures say.
func cpuTime() time.Duration { return wallTime() }
