//go:build !js

package transport

import (
	"log/slog"
	"net/url"
	"sync"
)

// maxWarned is how many hosts the log warns about.
const maxWarned = 1000

// warned holds the ws targets that this process has dialled.
var warned struct {
	mu      sync.Mutex
	targets map[string]bool
}

// warnCleartext logs one warning for each target without TLS.
func warnCleartext(u *url.URL) {
	if u.Scheme != "ws" {
		return
	}
	target := safeTarget(u)
	warned.mu.Lock()
	defer warned.mu.Unlock()
	if warned.targets[target] || len(warned.targets) >= maxWarned {
		return
	}
	if warned.targets == nil {
		warned.targets = make(map[string]bool)
	}
	warned.targets[target] = true
	slog.Warn("transport: a link without TLS: everybody on the way sees who talks to whom, when and how much; use wss://", "target", target)
}
