//go:build !js

package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/servertls"
)

// reportOrder reports how an order ended.
func (m *Manager) reportOrder(key certKey, shown *tls.Certificate, retry time.Duration, err error) {
	e := servertls.Event{Kind: servertls.Issued, Name: key.host, Err: err, Retry: retry}
	if err != nil {
		e.Kind = servertls.IssueFailed
	}
	if shown != nil {
		end := shown.Leaf.NotAfter
		e.Certificate = &servertls.Expiry{Name: key.host, KeyType: key.keyType(), NotAfter: end, Left: time.Until(end)}
	}
	m.emit(e)
}

// emit logs the event and queues it for Notify, without waiting for Notify.
func (m *Manager) emit(e servertls.Event) {
	m.log(e)
	m.events.Emit(e)
}

// notify calls Notify. A panic there must not stop the server.
func (m *Manager) notify(e servertls.Event) {
	if m.opts.Notify == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			m.opts.Logger.Error("acme: Notify panicked", "panic", safetext.Line(fmt.Sprint(v), maxErrorText), "stack", string(debug.Stack()))
		}
	}()
	m.opts.Notify(e)
}

// urgent is how much of a certificate's life is left when somebody has to act on a failed
// renewal.
const urgent = 7 * 24 * time.Hour

func (m *Manager) log(e servertls.Event) {
	attrs := []slog.Attr{slog.String("name", e.Name)}
	if e.Certificate != nil {
		attrs = append(attrs, slog.String("key_type", e.Certificate.KeyType), slog.Time("not_after", e.Certificate.NotAfter), slog.Duration("left", e.Certificate.Left))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	if e.Retry > 0 {
		attrs = append(attrs, slog.Duration("retry", e.Retry.Round(time.Second)))
	}
	level, text := slog.LevelInfo, "acme: a certificate was issued"
	switch e.Kind {
	case servertls.IssueFailed:
		level, text = slog.LevelError, "acme: there is no certificate, clients are refused"
		if e.Certificate != nil {
			text = "acme: a certificate was not renewed, the old one is still shown"
			if e.Certificate.Left > urgent {
				level = slog.LevelWarn
			}
		}
	case servertls.Unsaved:
		level, text = slog.LevelError, "acme: the cache did not take what was written, nothing is ordered until it does"
	case servertls.Saved:
		text = "acme: the cache has taken what was unsaved"
	}
	m.opts.Logger.LogAttrs(context.Background(), level, text, attrs...)
}
