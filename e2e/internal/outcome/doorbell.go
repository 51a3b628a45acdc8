package outcome

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/ration"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/transport"
)

// A Doorbell logs handshakes that failed and messages that were refused. Anybody can cause these
// at will, so it rations the lines for each outcome.
type Doorbell struct{ rations ration.Ration }

// Ring logs that a handshake failed.
func (d *Doorbell) Ring(log *slog.Logger, on transport.Info, why Outcome, err error) {
	level := slog.LevelWarn
	switch why {
	case Lost, Timeout, UnknownSession, Shutdown, Abandoned:
		level = slog.LevelInfo // networks, port scanners and restarts do that
	case Panic, Identity:
		level = slog.LevelError
	}
	d.log(log, level, "handshake failed", Subject{On: on}, why, err)
}

// Refused logs that a Handler has refused a message of a type.
func (d *Doorbell) Refused(log *slog.Logger, of Subject, typ string, why fault.Refusal, err error) {
	level, word := slog.LevelWarn, ofRefusal(why)
	if errors.As(err, new(*fault.PanicError)) {
		level, word = slog.LevelError, Panic
	}
	d.log(log, level, "message refused", of, word, err, slog.String("type", typ))
}

// RefusedThere logs that the other end has refused a message which nobody waits for.
func (d *Doorbell) RefusedThere(log *slog.Logger, of Subject, why *fault.RefusedError) {
	d.log(log, slog.LevelWarn, "message refused by the other end", of, ofRefusal(why.Reason), why, slog.Uint64("message", why.ID))
}

// log writes a line, if one about this outcome is due.
func (d *Doorbell) log(log *slog.Logger, level slog.Level, text string, of Subject, why Outcome, err error, more ...slog.Attr) {
	count := d.rations.Take(string(why), time.Now())
	if count == 0 {
		return
	}
	attrs := append(of.Attrs(), more...)
	attrs = append(attrs, Attrs(why, err)...)
	log.LogAttrs(context.Background(), level, text, append(attrs, slog.Int("count", count))...)
}

// ofRefusal says why a message was refused. It uses few words, whatever the other end sends.
func ofRefusal(why fault.Refusal) Outcome {
	switch why {
	case fault.RefusedType:
		return "type"
	case fault.RefusedUnauthorized:
		return Unauthorized
	case fault.RefusedFailed:
		return Failed
	case fault.RefusedBusy:
		return "busy"
	case fault.RefusedValue:
		return "value"
	case fault.RefusedInterrupted:
		return "interrupted"
	}
	return "other"
}
