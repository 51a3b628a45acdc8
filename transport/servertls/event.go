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

	// Refused: new contents of files are bad, and the old ones stay in use. It is
	// told once for the same contents.
	Refused

	// Expiring: a certificate has 30, 7, 1 or no days left. It is told once for
	// each of these, where the certificate was made for at least twice as long.
	// Programs that renew tend to begin at 30 days, so with those the first one
	// says little and the second one that something is wrong.
	Expiring

	// Incomplete: a pair is in use whose file lacks the intermediate certificate
	// that signed the server's, as cert.pem does where fullchain.pem was meant.
	// Most clients refuse it. Where the pair before it was complete, the new one is
	// Refused instead.
	Incomplete

	// Issued: an authority has issued a certificate, the first one or a renewal. This
	// and what follows is told by package acme.
	Issued

	// IssueFailed: there is no certificate for a name, or none to take the place of
	// the one that ends. Err says why, Retry when it is tried again.
	IssueFailed

	// Unsaved: the cache has not taken what was written. A certificate is kept in
	// memory and written when that works; until then nothing is ordered.
	Unsaved

	// Saved: the cache has taken everything that was Unsaved.
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
	Files []string // that it is about, none for a certificate of Options.GetCertificate
	Err   error    // why they are refused, incomplete, not issued or not saved

	// Certificate is what was loaded or issued, what expires, or what is shown
	// although a renewal failed. It is nil where there is none.
	Certificate *Expiry

	Name  string        // of package acme: the server's name that it is about
	Retry time.Duration // of IssueFailed and Unsaved: until the next try

	Missed int // of package acme: events that were left out before this one, as Notify was slow
}

// tell logs the event and hands it on.
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
