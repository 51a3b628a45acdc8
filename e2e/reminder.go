package e2e

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
	// remindEvery is how often a server looks at what is left of its identity. It looks at the
	// wall clock, which somebody may set and which goes on while the machine sleeps.
	remindEvery = time.Hour

	// remindPause is how often all clients of one identity look at most.
	remindPause = time.Minute
)

// A reminder logs that the end of an identity's statement comes near: each notice once.
type reminder struct {
	whose string // in the lines

	mu     sync.Mutex // guards what follows
	looked time.Time
	watch  lapse.Watch
}

// look tells what is due. It does not wait for the Logger.
func (r *reminder) look(identity *keys.Identity, log *slog.Logger, pause time.Duration) {
	p, now := identity.Public(), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.looked); p.Revoked() || 0 <= since && since < pause {
		return
	}
	r.looked = now
	if left, due := r.watch.Due(p.Issued(), p.Expires(), now); due {
		go logLapse(log, r.whose, identity, left)
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

// remind has the server look now and then, until it is shut down or nobody holds it any more.
func (srv *Server) remind() {
	srv.reminder.look(srv.cfg.Identity, srv.cfg.Logger, 0)
	self := weak.Make(srv)
	time.AfterFunc(remindEvery, func() {
		if srv := self.Value(); srv != nil && !srv.stopped() {
			srv.remind()
		}
	})
}

func (srv *Server) stopped() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.closed
}

// reminders are those of all sessions without a [Server], one for each identity and end: a program
// that has many of them, or one after the other, is told once.
var reminders struct {
	sync.Mutex
	of map[reminded]*reminder
}

type reminded struct {
	identity weak.Pointer[keys.Identity]
	whose    string
}

func reminderOf(identity *keys.Identity, whose string) *reminder {
	key := reminded{weak.Make(identity), whose}
	reminders.Lock()
	defer reminders.Unlock()
	r := reminders.of[key]
	if r == nil {
		if reminders.of == nil {
			reminders.of = map[reminded]*reminder{}
		}
		r = &reminder{whose: whose}
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

// remindNowAndThen has a session look that looks after no connection, until it is over or nobody
// holds it any more.
func (s *Session) remindNowAndThen() {
	s.remind()
	self := weak.Make(s)
	time.AfterFunc(remindEvery, func() {
		if s := self.Value(); s != nil && !s.flow.Over() {
			s.remindNowAndThen()
		}
	})
}

// remind has a session look as it begins, and when it looks after its connection.
func (s *Session) remind() {
	if s.reminder != nil {
		s.reminder.look(s.party.cfg.Identity, s.party.logger(), remindPause)
	}
}
