package outcome

import (
	"cmp"
	"context"
	"errors"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A Subject says which session and which connection a line is about, if there is one.
type Subject struct {
	Session string               // its id for logs
	Peer    *keys.PublicIdentity // the other end; nil while nobody knows
	On      transport.Info
}

// Attrs returns what is known of the subject.
func (s Subject) Attrs() (attrs []slog.Attr) {
	attrs = appendText(attrs, "session", s.Session)
	if s.Peer != nil {
		attrs = append(attrs, slog.String("peer", s.Peer.Fingerprint().String()))
	}
	return appendText(attrs, "remote", cmp.Or(s.On.Client, s.On.Remote))
}

// Attrs returns the attributes that say why. For an orderly end the reason says everything.
func Attrs(why Outcome, err error) (attrs []slog.Attr) {
	attrs = appendText(attrs, "reason", string(why))
	if failed := new(fault.HandshakeError); errors.As(err, &failed) {
		attrs = appendText(attrs, "check", failed.Detail)
	}
	switch p := new(fault.PanicError); {
	case err == nil || why == Closed || why == PeerClosed:
	case errors.As(err, &p):
		attrs = append(appendText(attrs, "error", fault.Line(p)), slog.String("stack", string(p.Stack)))
	default:
		attrs = appendText(attrs, "error", cause(err).Error())
	}
	return attrs
}

// cause returns the part of an error that the line's message does not say already.
func cause(err error) error {
	switch e := err.(type) {
	case *fault.DisconnectError:
		return e.Err
	case *fault.CloseError:
		if e.Err != nil {
			return e.Err
		}
	}
	return err
}

// appendText appends an attribute, unless its text is empty.
func appendText(attrs []slog.Attr, key, text string) []slog.Attr {
	if text == "" {
		return attrs
	}
	return append(attrs, slog.String(key, safetext.Line(text, fault.MaxShown)))
}

// Level returns the level of a line about a session that has lost a connection or ended.
func Level(why Outcome) slog.Level {
	switch why {
	case Identity:
		return slog.LevelError
	case Tampered, Misbehaved, NotAuthentic, Untrusted, PeerExpired: // no well-kept end and no bad network causes these
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// LogFunction logs how the function of a server's session failed.
func LogFunction(log *slog.Logger, of Subject, err error) {
	level, text := slog.LevelWarn, "the function of a session failed"
	why := Of(err)
	if why == Panic {
		level, text = slog.LevelError, "the function of a session panicked"
	}
	log.LogAttrs(context.Background(), level, text, append(of.Attrs(), Attrs(why, err)...)...)
}

// LogUnanswered logs that the Verifier had no answer about open sessions, which go on.
func LogUnanswered(log *slog.Logger, sessions int, why error) {
	attrs := append(Attrs(Unavailable, why), slog.Int("count", sessions))
	log.LogAttrs(context.Background(), slog.LevelWarn, "peers not rechecked", attrs...)
}
