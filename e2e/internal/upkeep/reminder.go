package upkeep

import (
	"context"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys"
)

const (
	// every is how often an end checks how long its identity is still valid. It reads the
	// wall clock, which somebody may set and which goes on while the machine sleeps.
	every = time.Hour

	// SharedPause is the least time between two checks by all clients of one identity.
	SharedPause = time.Minute
)

// A Reminder logs that an identity's statement is about to expire: each notice once.
type Reminder struct {
	Whose string // "server" or "client", in the lines

	mu     sync.Mutex // guards what follows
	looked time.Time
	watch  lapse.Watch
}

// Look logs the notice that is due, if one is. It does nothing within pause of the last look, and
// does not wait for the Logger.
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

// logLapse writes one line about an identity that is valid for the time left.
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

// reminders has the reminders of all sessions without a server, one for each identity and end. So a
// program that has many sessions, at once or one after the other, is told once.
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
