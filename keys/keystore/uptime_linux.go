//go:build linux

package keystore

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// bootName returns the kernel's name for the time since the machine was started, or "" if there is none.
// It is read once: it cannot change while this process lives, and reading it costs more than the rest of
// reading the clock.
var bootName = sync.OnceValue(func() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	name := strings.TrimSpace(string(boot))
	if err != nil || len(name) > maxMeasureName {
		return ""
	}
	return name
})

// uptime returns how long the machine has been running, asleep or not. All its processes see the same
// value, and nobody can set it.
func uptime() measure {
	var t unix.Timespec
	name := bootName()
	if name == "" || unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return measure{}
	}
	return measure{name, int64(t.Sec)}
}
