//go:build !js

package transport

import (
	"context"
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/internal/ration"
	"github.com/hopseal/hopseal/internal/safetext"
)

// Without a callback, refusals are logged: a server must not refuse clients silently. Strangers
// cause most refusals, so there is at most one line a minute for each kind.

// logRefused is the default of GateOptions.Notify.
func logRefused(log *slog.Logger) func(ConnEvent) {
	var rations ration.Ration
	return func(e ConnEvent) {
		if e.Accepted() {
			return
		}
		level := slog.LevelWarn
		switch outcome(e.Outcome) {
		case outcomeHandshake, outcomeDraining: // port scanners and restarts do that
			level = slog.LevelInfo
		}
		if count := rations.Take(e.Outcome, time.Now()); count > 0 {
			log.LogAttrs(context.Background(), level, "connection refused", slog.String("client", e.Client),
				slog.String("outcome", e.Outcome), slog.Int("status", e.Status), slog.Int("count", count))
		}
	}
}

// logCut is the default of ProxyProtocol.OnRefuse.
func logCut(log *slog.Logger) func(error) {
	var rations ration.Ration
	return func(err error) {
		if count := rations.Take("", time.Now()); count > 0 {
			log.LogAttrs(context.Background(), slog.LevelWarn, "connection refused",
				slog.String("error", safetext.Line(err.Error(), shownReason)), slog.Int("count", count))
		}
	}
}
