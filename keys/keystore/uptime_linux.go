//go:build linux

package keystore

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// bootName names the time since the machine was started, "" where nothing does. It stays the same as
// long as this process lives, and to ask costs more than all else that each look does.
var bootName = sync.OnceValue(func() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	name := strings.TrimSpace(string(boot))
	if err != nil || len(name) > maxMeasureName {
		return ""
	}
	return name
})

// uptime returns how long the machine has been running, asleep or not, which all its processes agree
// on and nobody sets.
func uptime() measure {
	var t unix.Timespec
	name := bootName()
	if name == "" || unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return measure{}
	}
	return measure{name, int64(t.Sec)}
}
