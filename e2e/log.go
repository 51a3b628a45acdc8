package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/internal/slog"
)

// logEvent writes one line about an event.
func logEvent(log *slog.Logger, e Event) {
	why := outcome.Outcome("")
	if e.Err != nil {
		why = outcome.Of(e.Err)
	}
	level := outcome.Level(why)
	if e.State == StateConnecting || e.State == StateHandshaking {
		level = slog.LevelDebug
	}
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs := append(e.Session.subject(e.Transport).Attrs(), slog.String("state", e.State.String()))
	attrs = append(attrs, outcome.Attrs(why, e.Err)...)
	if e.State == StateClosed && e.Session != nil {
		attrs = append(attrs, attrsOfStats(e.Session.Stats())...)
	}
	if e.Missed > 0 {
		attrs = append(attrs, slog.Int("missed", e.Missed))
	}
	log.LogAttrs(context.Background(), level, "session "+e.State.String(), attrs...)
}

func attrsOfStats(of Stats) []slog.Attr {
	return []slog.Attr{
		slog.Uint64("messages_sent", of.MessagesSent),
		slog.Uint64("messages_received", of.MessagesReceived),
		slog.Uint64("bytes_sent", of.BytesSent),
		slog.Uint64("bytes_received", of.BytesReceived),
		slog.Uint64("messages_refused", of.MessagesRefused),
		slog.Uint64("messages_turned_down", of.MessagesTurnedDown),
		slog.Uint64("unacked", of.Unacked),
		slog.Uint64("resent", of.Resent),
		slog.Uint64("resumes", of.Resumes),
		slog.Uint64("rekeys", of.Rekeys),
	}
}
