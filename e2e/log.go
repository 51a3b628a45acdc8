package e2e

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/ration"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

// logEvent writes one line about a state of a session.
func logEvent(log *slog.Logger, e Event) {
	level, why := slog.LevelInfo, outcome("")
	if e.Err != nil {
		why = outcomeOf(e.Err)
	}
	switch {
	case e.State == StateConnecting || e.State == StateHandshaking:
		level = slog.LevelDebug
	case why == outcomeIdentity:
		level = slog.LevelError
	case suspicious(why):
		level = slog.LevelWarn
	}
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs := append(attrsOf(e.Session, e.Transport), slog.String("state", e.State.String()))
	attrs = append(attrs, attrsOfError(why, e.Err)...)
	if e.State == StateClosed && e.Session != nil {
		attrs = append(attrs, attrsOfStats(e.Session.Stats())...)
	}
	if e.Missed > 0 {
		attrs = append(attrs, slog.Int("missed", e.Missed))
	}
	log.LogAttrs(context.Background(), level, "session "+e.State.String(), attrs...)
}

// suspicious reports whether somebody did what no well-kept end and no bad network does.
func suspicious(o outcome) bool {
	switch o {
	case outcomeTampered, outcomeMisbehaved, outcomeNotAuthentic, outcomeUntrusted, outcomePeerExpired:
		return true
	}
	return false
}

// attrsOf says which session and which connection a line is about, as far as there is
// one.
func attrsOf(s *Session, on transport.Info) (attrs []slog.Attr) {
	if s != nil {
		attrs = append(attrs, slog.String("session", s.id), slog.String("peer", s.Peer().Fingerprint().String()))
	}
	return appendText(attrs, "remote", cmp.Or(on.Client, on.Remote))
}

// attrsOfError says why. What an orderly end says is in the reason.
func attrsOfError(why outcome, err error) (attrs []slog.Attr) {
	attrs = appendText(attrs, "reason", string(why))
	if failed := new(HandshakeError); errors.As(err, &failed) {
		attrs = appendText(attrs, "check", failed.Detail)
	}
	switch p := new(PanicError); {
	case err == nil || why == outcomeClosed || why == outcomePeerClosed:
	case errors.As(err, &p):
		attrs = append(appendText(attrs, "error", fault.Line(p)), slog.String("stack", string(p.Stack)))
	default:
		attrs = appendText(attrs, "error", cause(err).Error())
	}
	return attrs
}

// cause leaves out what the message of a line says already.
func cause(err error) error {
	switch e := err.(type) {
	case *DisconnectError:
		return e.Err
	case *CloseError:
		if e.Err != nil {
			return e.Err
		}
	}
	return err
}

// appendText leaves an empty text out.
func appendText(attrs []slog.Attr, key, text string) []slog.Attr {
	if text == "" {
		return attrs
	}
	return append(attrs, slog.String(key, safetext.Line(text, fault.MaxShown)))
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

// logFunction tells how a server's function ended.
func logFunction(log *slog.Logger, s *Session, err error) {
	level, text := slog.LevelWarn, "the function of a session failed"
	why := outcomeOf(err)
	if why == outcomePanic {
		level, text = slog.LevelError, "the function of a session panicked"
	}
	attrs := append(attrsOf(s, s.Info().Transport), attrsOfError(why, err)...)
	log.LogAttrs(context.Background(), level, text, attrs...)
}

// logUnanswered tells that the Verifier had no answer about open sessions, which go on.
func logUnanswered(log *slog.Logger, sessions int, why error) {
	attrs := append(attrsOfError(outcomeUnavailable, why), slog.Int("count", sessions))
	log.LogAttrs(context.Background(), slog.LevelWarn, "peers not rechecked", attrs...)
}

// A doorbell logs handshakes that failed. Anybody can cause these at will, so of each outcome
// there is one line in a while.
type doorbell struct{ rations ration.Ration }

func (d *doorbell) ring(log *slog.Logger, on transport.Info, why outcome, err error) {
	count := d.rations.Take(string(why), time.Now())
	if count == 0 {
		return
	}
	level := slog.LevelWarn
	switch why {
	case outcomeLost, outcomeTimeout, outcomeUnknownSession, outcomeShutdown, outcomeAbandoned:
		level = slog.LevelInfo // networks, port scanners and restarts do that
	case outcomePanic, outcomeIdentity:
		level = slog.LevelError
	}
	attrs := append(attrsOf(nil, on), attrsOfError(why, err)...)
	log.LogAttrs(context.Background(), level, "handshake failed", append(attrs, slog.Int("count", count))...)
}

// refused logs that a Handler has refused a message. Each client can cause that at will too.
func (d *doorbell) refused(log *slog.Logger, r *Request, why Refusal, err error) {
	level, of := slog.LevelWarn, wordFor(why)
	if errors.As(err, new(*PanicError)) {
		level, of = slog.LevelError, outcomePanic
	}
	count := d.rations.Take(string(of), time.Now())
	if count == 0 {
		return
	}
	attrs := append(attrsOf(r.Session, r.Session.Info().Transport), slog.String("type", r.Type))
	attrs = append(attrs, attrsOfError(of, err)...)
	log.LogAttrs(context.Background(), level, "message refused", append(attrs, slog.Int("count", count))...)
}

// refusedThere logs that the other end has refused a message which nobody waits for.
func (d *doorbell) refusedThere(s *Session, why *RefusedError) {
	of := wordFor(why.Reason)
	if count := d.rations.Take(string(of), time.Now()); count > 0 {
		attrs := append(attrsOf(s, s.Info().Transport), slog.Uint64("message", why.ID))
		attrs = append(attrs, attrsOfError(of, why)...)
		s.party.logger().LogAttrs(context.Background(), slog.LevelWarn, "message refused by the other end", append(attrs, slog.Int("count", count))...)
	}
}

// wordFor says why a message was refused. There are few words, whatever the other end says.
func wordFor(why Refusal) outcome {
	switch why {
	case RefusedType:
		return "type"
	case RefusedUnauthorized:
		return outcomeUnauthorized
	case RefusedFailed:
		return outcomeFailed
	case RefusedBusy:
		return "busy"
	case RefusedValue:
		return "value"
	case RefusedInterrupted:
		return "interrupted"
	}
	return "other"
}
