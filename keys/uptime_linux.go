//go:build linux

package keys

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// uptime returns how long the machine has been running, asleep or not, which all its processes agree
// on and nobody sets.
func uptime() measure {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var t unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return measure{}
	}
	name := strings.TrimSpace(string(boot))
	if len(name) > maxMeasureName {
		return measure{}
	}
	return measure{name, int64(t.Sec)}
}
