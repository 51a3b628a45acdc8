//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is what all threads of this process have used of the processors. It
// stands still while others have them.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // only for arguments that are not these
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
