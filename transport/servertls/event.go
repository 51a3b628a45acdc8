//go:build !js

package servertls

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A Kind says what an [Event] is about.
type Kind int

const (
	// Loaded: new contents of files are in use, at the start too.
	Loaded Kind = iota + 1

	// Refused: new contents of files are bad, and the old ones stay in use. The
	// Watcher reports the same contents once.
	Refused

	// Expiring: a certificate has 30, 7, 1 or no days left. The Watcher reports each
	// of these once, if the certificate's lifetime is at least twice as long.
	// Renewal programs often begin at 30 days: with those the first event means
	// little, and the second one means that something is wrong.
	Expiring

	// Incomplete: a pair is in use whose file lacks the intermediate certificate
	// that signed the server's, for example cert.pem instead of fullchain.pem.
	// Most clients refuse it. If the pair that it would replace is complete, the new
	// pair is Refused instead.
	Incomplete

	// Issued: an authority has issued a certificate, the first one or a renewal.
	// Package acme reports this Kind and those below.
	Issued

	// IssueFailed: package acme got no certificate for a name, or no renewal of one
	// that expires. Err says why, Retry when it tries again.
	IssueFailed

	// Unsaved: the cache failed to store something. Package acme keeps the
	// certificate in memory and stores it as soon as that works; until then it
	// orders nothing.
	Unsaved

	// Saved: the cache has stored everything that was Unsaved.
	Saved
)

// String returns one word.
func (k Kind) String() string {
	switch k {
	case Loaded:
		return "loaded"
	case Refused:
		return "refused"
	case Expiring:
		return "expiring"
	case Incomplete:
		return "incomplete"
	case Issued:
		return "issued"
	case IssueFailed:
		return "issue failed"
	case Unsaved:
		return "unsaved"
	case Saved:
		return "saved"
	}
	return "unknown"
}

// An Event is something that an operator may want to know. It holds no secrets.
type Event struct {
	Kind  Kind
	Files []string // the files concerned; none for a certificate of Options.GetCertificate
	Err   error    // the cause of Refused, Incomplete, IssueFailed and Unsaved

	// Certificate is the one that was loaded or issued, that expires, or that the
	// server still shows after a failed renewal. It is nil if there is none.
	Certificate *Expiry

	Name  string        // from package acme: the server's name
	Retry time.Duration // with IssueFailed and Unsaved: the time until the next try

	Missed int // from package acme: the number of events dropped before this one because Notify was slow
}

// tell logs the event and passes it to Notify.
func (w *Watcher) tell(e Event) {
	w.log(e)
	if w.opts.Notify == nil {
		return
	}
	defer func() { // a bug there must not take the server down
		if v := recover(); v != nil {
			w.opts.Logger.Error("servertls: Notify panicked", "panic", safetext.Line(fmt.Sprint(v), shown), "stack", string(debug.Stack()))
		}
	}()
	w.opts.Notify(e)
}

func (w *Watcher) log(e Event) {
	attrs := []slog.Attr{slog.Any("files", e.Files)}
	if e.Certificate != nil {
		attrs = append(attrs, slog.String("name", e.Certificate.Name), slog.String("key_type", e.Certificate.KeyType), slog.Time("not_after", e.Certificate.NotAfter))
	}
	level, text := slog.LevelInfo, "servertls: loaded"
	switch e.Kind {
	case Refused:
		level, text = slog.LevelError, "servertls: refused what is new, the old stays in use"
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	case Incomplete:
		level, text = slog.LevelError, "servertls: a certificate lacks its intermediate certificate, most clients refuse it"
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	case Expiring:
		level, text = slog.LevelWarn, "servertls: a certificate expires soon"
		if e.Certificate.Left <= 24*time.Hour {
			level = slog.LevelError
		}
		if e.Certificate.Left <= 0 {
			text = "servertls: a certificate has expired, clients refuse it"
		}
		attrs = append(attrs, slog.Duration("left", e.Certificate.Left))
	}
	w.opts.Logger.LogAttrs(context.Background(), level, text, attrs...)
}
