package e2e

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

// logEvery is how often a log tells of one thing that strangers can cause at will.
const logEvery = time.Minute

// logEvent writes one line about a state of a session.
func logEvent(log *slog.Logger, e Event) {
	level, why := slog.LevelInfo, outcome("")
	if e.Err != nil {
		why = outcomeOf(e.Err)
	}
	switch {
	case e.State == StateConnecting || e.State == StateHandshaking:
		level = slog.LevelDebug
	case suspicious(why):
		level = slog.LevelWarn
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

// suspicious reports whether somebody did what no honest end and no bad network does.
func suspicious(o outcome) bool {
	switch o {
	case outcomeTampered, outcomeMisbehaved, outcomeNotAuthentic, outcomeUntrusted:
		return true
	}
	return false
}

// attrsOf says which session and which connection a line is about, as far as there is
// one.
func attrsOf(s *Session, on transport.Info) (attrs []slog.Attr) {
	if s != nil {
		attrs = append(attrs, slog.String("session", s.info.Load().ID), slog.String("peer", s.Peer().Fingerprint().String()))
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
		attrs = append(appendText(attrs, "error", p.line()), slog.String("stack", string(p.Stack)))
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
	return append(attrs, slog.String(key, safetext.Line(text, maxShown)))
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

// A doorbell logs handshakes that failed. Anybody can cause these at will, and a log is
// not theirs to fill: so of each outcome there is one line in a while, about the latest,
// with the number of all since the one before.
type doorbell struct {
	mu   sync.Mutex // guards what follows
	rung map[outcome]*ringing
}

type ringing struct {
	quiet time.Time // until when there is no further line
	count int       // since the last one
}

func (d *doorbell) ring(log *slog.Logger, on transport.Info, why outcome, err error) {
	count := d.count(why, time.Now())
	if count == 0 {
		return
	}
	level := slog.LevelWarn
	switch why {
	case outcomeLost, outcomeTimeout, outcomeUnknownSession, outcomeShutdown, outcomeAbandoned:
		level = slog.LevelInfo // networks, port scanners and restarts do that
	case outcomePanic:
		level = slog.LevelError
	}
	attrs := append(attrsOf(nil, on), attrsOfError(why, err)...)
	log.LogAttrs(context.Background(), level, "handshake failed", append(attrs, slog.Int("count", count))...)
}

// count counts one more, and returns how many to tell of now.
func (d *doorbell) count(why outcome, now time.Time) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rung == nil {
		d.rung = make(map[outcome]*ringing)
	}
	r := d.rung[why]
	if r == nil {
		r = new(ringing)
		d.rung[why] = r
	}
	r.count++
	if now.Before(r.quiet) {
		return 0
	}
	n, r.count, r.quiet = r.count, 0, now.Add(logEvery)
	return n
}
