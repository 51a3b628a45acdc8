package engine

import (
	"errors"
	"testing"
	"time"
)

// living is bounded with the default keep-alive.
func living(t testing.TB) (c, s *Link) {
	t.Helper()
	cfg := configFor(alice)
	cfg.KeepAlive = 0
	x := clientOf(cfg, alice)
	cfg = configFor(bob)
	cfg.KeepAlive = 0
	y := serverOf(cfg, bob)
	mustMeet(t, x, y)
	return x.h.Session().Link(), y.h.Session().Link()
}

// A silent client asks, its server answers and does not ask itself, for as long as
// both are there.
func TestKeepAlive(t *testing.T) {
	c, s := living(t)
	now := epoch
	for round := range 5 {
		due := now.Add(DefaultKeepAlive)
		if got := c.session.Deadline(); !got.Equal(due) {
			t.Fatalf("round %d: due at %v, want %v", round, got, due)
		}
		if frame := must(c.Control(due.Add(-1), nil)); frame != nil {
			t.Fatal("asked before the time")
		}
		frame := must(c.Control(due, nil))
		if again := must(c.Control(due, nil)); frame == nil || again != nil {
			t.Fatal("does not ask, or asks twice")
		}
		if must(s.Control(due, nil)) != nil {
			t.Fatal("the server asks before its client had the time to")
		}
		now = due.Add(time.Second)
		if _, event, err := s.Open(now, nil, frame); event != Asked || err != nil {
			t.Fatal(event, err)
		}
		if _, event, err := c.Open(now, nil, must(s.Control(now, nil))); event != Acked || err != nil {
			t.Fatal(event, err)
		}
	}
	if c.session.Sent() != 0 || s.in().received != 0 {
		t.Error("keeping a link alive counted as a message")
	}
}

func (l *Link) in() *inbox { return &l.session.in }

// Any record shows that its sender is there.
func TestRecordsKeepAlive(t *testing.T) {
	c, s := living(t)
	now := epoch
	for range 10 {
		now = now.Add(DefaultKeepAlive - time.Second)
		if _, _, err := c.Open(now, nil, must(s.Seal(now, nil, nil, nil))); err != nil {
			t.Fatal(err)
		}
		if frame := must(c.Control(now, nil)); frame != nil {
			t.Fatal("asked somebody who is talking")
		}
		c.session.in.ackAt = time.Time{}
	}
}

// An end that hears nothing after it has asked gives the link up, and says why.
func TestSilenceEndsTheLink(t *testing.T) {
	for name, wait := range map[string]time.Duration{"client": DefaultKeepAlive, "server": DefaultKeepAlive * 3 / 2} {
		l, s := living(t)
		if name == "server" {
			l = s
		}
		if frame := must(l.Control(epoch.Add(wait), nil)); frame == nil {
			t.Fatalf("the %s does not ask", name)
		}
		over := epoch.Add(2 * wait)
		if got := l.session.Deadline(); !got.Equal(over) {
			t.Errorf("the %s gives up at %v, want %v", name, got, over)
		}
		if frame, err := l.Control(over.Add(-1), nil); frame != nil || err != nil {
			t.Errorf("the %s before that: %v", name, err)
		}
		if frame, err := l.Control(over, nil); frame != nil || !errors.Is(err, ErrSilent) {
			t.Errorf("the %s: %v", name, err)
		}
		if _, err := l.Seal(over, nil, nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("the %s's link lives: %v", name, err)
		}
	}
}

// A link that was resumed begins anew.
func TestResumeEndsSilence(t *testing.T) {
	a, b := living(t)
	if must(a.Control(epoch.Add(DefaultKeepAlive), nil)) == nil {
		t.Fatal("does not ask")
	}
	mustRevive(t, a.session, b.session)
	a, b = a.session.Link(), b.session.Link()
	greet(t, a, b)
	if due := epoch.Add(DefaultKeepAlive); !a.session.Deadline().Equal(due) {
		t.Errorf("due at %v, want %v", a.session.Deadline(), due)
	}
}

// Without a keep-alive nothing is ever due.
func TestNoKeepAlive(t *testing.T) {
	c, _ := bounded(t)
	if !c.session.Deadline().IsZero() {
		t.Error("something is due")
	}
	if frame, err := c.Control(epoch.Add(1000*time.Hour), nil); frame != nil || err != nil {
		t.Errorf("%v", err)
	}
}
