package upkeep

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys"
)

const (
	// every is how often an end looks at what is left of its identity. It looks at the
	// wall clock, which somebody may set and which goes on while the machine sleeps.
	every = time.Hour

	// SharedPause is how often all clients of one identity look at most.
	SharedPause = time.Minute
)

// A Reminder logs that the end of an identity's statement comes near: each notice once.
type Reminder struct {
	Whose string // "server" or "client", in the lines

	mu     sync.Mutex // guards what follows
	looked time.Time
	watch  lapse.Watch
}

// Look tells what is due. It does not wait for the Logger.
func (r *Reminder) Look(identity *keys.Identity, log *slog.Logger, pause time.Duration) {
	p, now := identity.Public(), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.looked); p.Revoked() || 0 <= since && since < pause {
		return
	}
	r.looked = now
	if left, due := r.watch.Due(p.Issued(), p.Expires(), now); due {
		go logLapse(log, r.Whose, identity, left)
	}
}

// logLapse writes one line about an identity that has so long to live.
func logLapse(log *slog.Logger, whose string, identity *keys.Identity, left time.Duration) {
	p := identity.Public()
	attrs := []slog.Attr{slog.String("identity", p.Fingerprint().String()), slog.Time("expires", p.Expires())}
	if left <= 0 {
		attrs = append(attrs, slog.Any("error", identity.Check(time.Now())))
		log.LogAttrs(context.Background(), slog.LevelError, "this "+whose+"'s identity has expired: peers refuse it", attrs...)
		return
	}
	attrs = append(attrs, slog.String("left", lapse.Text(left)))
	log.LogAttrs(context.Background(), slog.LevelWarn, "this "+whose+"'s identity expires soon, and peers refuse it then: "+
		"renew it with 'hopseal key rotate' or Identity.Renew, and have Store.Run keep it alive", attrs...)
}

// reminders are those of all sessions without a [Server], one for each identity and end: a program
// that has many of them, or one after the other, is told once.
var reminders struct {
	sync.Mutex
	of map[reminded]*Reminder
}

type reminded struct {
	identity weak.Pointer[keys.Identity]
	whose    string
}

// ReminderOf returns the reminder of an identity and an end.
func ReminderOf(identity *keys.Identity, whose string) *Reminder {
	key := reminded{weak.Make(identity), whose}
	reminders.Lock()
	defer reminders.Unlock()
	r := reminders.of[key]
	if r == nil {
		if reminders.of == nil {
			reminders.of = map[reminded]*Reminder{}
		}
		r = &Reminder{Whose: whose}
		reminders.of[key] = r
		runtime.AddCleanup(identity, forgetReminder, key)
	}
	return r
}

func forgetReminder(key reminded) {
	reminders.Lock()
	defer reminders.Unlock()
	delete(reminders.of, key)
}

// Hourly calls look with v once an hour, until it returns false or nobody holds v any more.
func Hourly[T any](v *T, look func(*T) bool) {
	self := weak.Make(v)
	time.AfterFunc(every, func() {
		if v := self.Value(); v != nil && look(v) {
			Hourly(v, look)
		}
	})
}
