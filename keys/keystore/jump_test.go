package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
)

// A world has a real time, and a machine whose clock may show another.
type world struct {
	real   time.Time
	ahead  time.Duration // how much more the machine's clock shows
	boot   int           // how often the machine has been started
	booted time.Time
	looks  map[time.Time]time.Time // by what the clock showed at a reading: the real time then
}

func newWorld() *world {
	now := time.Now().Round(0).Truncate(time.Second)
	return &world{real: now, booted: now, looks: map[time.Time]time.Time{}}
}

func (w *world) pass(d time.Duration) { w.real = w.real.Add(d) }

func (w *world) clock() time.Time {
	now := w.real.Add(w.ahead)
	w.looks[now] = w.real
	return now
}

// A way is how a store is used. measured says whether the machine knows how long it has been running.
type way struct {
	name                      string
	restarts, boots, measured bool
}

var ways = []way{
	{"a process that runs", false, false, true},
	{"a process that runs where nothing else is measured", false, false, false},
	{"a process each time", true, false, true},
	{"a machine that is started each time", true, true, true},
	{"a process each time where nothing is measured", true, false, false},
}

// use makes a store take its time from the world.
func (w *world) use(s *Store, how way) *Store {
	w.looks[s.lastSecond] = w.real // it was made a moment ago
	s.clock = w.clock
	s.elapsed = func(since, _ time.Time) time.Duration { return w.real.Sub(w.looks[since]) }
	s.uptime = func() measure {
		if !how.measured {
			return measure{}
		}
		return measure{fmt.Sprint("boot ", w.boot), int64(w.real.Sub(w.booted) / time.Second)}
	}
	return s
}

// again returns the store for its next use: the same one, or opened again.
func (w *world) again(t *testing.T, s *Store, how way) *Store {
	t.Helper()
	if how.boots {
		w.boot, w.booted = w.boot+1, w.real
	}
	if !how.restarts {
		return s
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openStore(t.Context(), s.path, passphrase, func(s *Store) { w.use(s, how) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

// A watch checks what happens to keys, by the real time.
type watch struct {
	stages map[KeyRef]keys.Stage
	since  map[KeyRef]time.Time
	issued []*keys.PublicIdentity // statements that peers accepted when they were issued
}

var watched = []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseSealing}, {Use: keys.UseShared, Keyset: "orders"}}

// look fails if a key took a step before its time had really passed, or if a statement in use lists a
// sealing key that is not accepted. slack is by how much a step may come too early.
func (a *watch) look(t *testing.T, s *Store, p RotationPolicy, real time.Time, slack time.Duration) {
	t.Helper()
	now := map[KeyRef]keys.Stage{}
	for _, ref := range watched {
		for _, k := range s.keys(ref) {
			ref.TinkID = k.TinkID
			now[ref] = k.Stage
		}
	}
	least := map[keys.Stage]time.Duration{keys.StagePending: p.Lead, keys.StagePrimary: p.Age - p.Lead, keys.StageRetiring: p.Overlap, keys.StageArchived: p.Keep}
	for ref, before := range a.stages {
		if now[ref] == before {
			continue
		}
		if lived := real.Sub(a.since[ref]) + slack; lived < least[before] {
			t.Fatalf("%v was %v for %v and is %v", ref, before, lived, now[ref])
		}
		delete(a.since, ref)
	}
	for ref := range now {
		if _, known := a.since[ref]; !known {
			a.since[ref] = real
		}
	}
	a.stages = now
	if public := s.Identity().Public(); refused(public, real) == nil {
		a.issued = append(a.issued, public)
	}
	for _, public := range a.issued {
		if stage, _ := s.Identity().SealingKey(public.RecipientKey().ID()); real.Add(slack).Before(public.Expires()) && (stage == 0 || stage == keys.StageArchived) {
			t.Fatalf("the key that the statement of %v lists is %v on %v", public.Issued(), stage, real)
		}
	}
}

// jumps returns how far a clock jumps, and for how long.
func jumps() (out [][2]time.Duration) {
	const year = 365 * day
	for _, size := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 20 * time.Hour, 20 * day, year, 10 * year} {
		for _, lasts := range []time.Duration{10 * time.Second, 10 * time.Minute, 3 * time.Hour, 50 * time.Hour, 60 * day} {
			out = append(out, [2]time.Duration{size, lasts}, [2]time.Duration{-size, lasts})
		}
	}
	return out
}

// TestAClockThatJumpsBreaksNothing makes keys of every stage, lets the clock jump, and checks the keys
// during the jump and after it.
func TestAClockThatJumpsBreaksNothing(t *testing.T) {
	slowtest.Skip(t)
	cheap(t)
	all := jumps() // one for each way always runs
	for i, how := range ways {
		for n, j := range all {
			if os.Getenv("HOPSEAL_LONG_TESTS") == "" && n != []int{52, 69, 56, 33, 50}[i] {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v for %v", how.name, j[0], j[1]), func(t *testing.T) { jumpOnce(t, how, j[0], j[1]) })
		}
	}
}

func jumpOnce(t *testing.T, how way, size, lasts time.Duration) {
	p := RotationPolicy{Age: 30 * day, Lead: day, Overlap: 48 * time.Hour, Keep: 20 * day}
	w := newWorld()
	s, _ := holders(t)
	w.use(s, how)
	peer := reader{}
	seen := watch{since: map[KeyRef]time.Time{}}
	slack := time.Duration(0)
	look := func() {
		t.Helper()
		s = w.again(t, s, how)
		if _, err := s.Rotate(p); err != nil && !errors.Is(err, ErrClock) {
			t.Fatal(err)
		}
		seen.look(t, s, p, w.real, slack)
	}
	for range 62 { // until there are keys of every stage
		look()
		w.pass(day)
	}
	if err := peer.hear(s.Identity().Public()); err != nil {
		t.Fatal(err)
	}
	if how.restarts && (how.boots || !how.measured) {
		slack = time.Duration(maxUnmeasured) * time.Second // nothing distinguishes a jump from a day without a reading
	}
	for from := w.real; ; {
		w.ahead = size
		stages := seen.stages
		look()
		_, _, doubted := s.ClockJump()
		if doubted && !maps.Equal(stages, seen.stages) {
			t.Errorf("steps while the clock is in doubt: %v, then %v", stages, seen.stages)
		}
		if w.real.Equal(from) && how.measured && !how.boots && max(size, -size) > keys.ClockSkew && w.clock().Year() >= 2026 && !doubted {
			t.Error("the clock is not in doubt")
		}
		if left := lasts - w.real.Sub(from); left <= 0 {
			break
		} else {
			w.pass(min(left, map[bool]time.Duration{true: 25 * time.Hour, false: 31 * time.Minute}[how.restarts || lasts > 10*day]))
		}
	}
	w.ahead = 0
	look()
	for range 50 {
		public := s.Identity().Public()
		if err := refused(public, w.real); err != nil || !public.RecipientKey().ValidAt(w.real.Add(keys.ClockSkew)) {
			t.Fatalf("after the jump, on %v, peers refuse the statement of %v: %v", w.real, public.Issued(), err)
		}
		if err := peer.hear(public); err != nil {
			t.Fatalf("peers that saw the statements before: %v", err)
		}
		w.pass(day)
		look()
	}
	for _, ref := range watched {
		for _, k := range s.keys(ref) {
			ref.TinkID = k.TinkID
			if lived := w.real.Sub(seen.since[ref]); k.Stage == keys.StagePrimary && lived > 33*day+lasts {
				t.Errorf("%v is primary for %v", ref, lived)
			}
		}
	}
}

// TestAMachineThatWasOff starts a machine after a year: the service works again at once, and destroys no
// key before its time by the policy has passed.
func TestAMachineThatWasOff(t *testing.T) {
	cheap(t)
	how := way{"", true, true, true}
	p := RotationPolicy{Age: 30 * day, Lead: day, Overlap: 48 * time.Hour, Keep: 20 * day}
	w := newWorld()
	s, _ := holders(t)
	w.use(s, how)
	for range 62 {
		s = w.again(t, s, how)
		if _, err := s.Rotate(p); err != nil {
			t.Fatal(err)
		}
		w.pass(day)
	}
	stages := func() map[KeyRef]keys.Stage {
		a := watch{since: map[KeyRef]time.Time{}}
		a.look(t, s, p, w.real, 0)
		return a.stages
	}
	before := stages()
	w.pass(365 * day)
	s = w.again(t, s, how)
	if _, err := s.Rotate(p); err != nil {
		t.Fatal(err)
	}
	valid(t, s, w.real)
	if now := stages(); !maps.Equal(before, now) {
		t.Errorf("a year off: %v, then %v", before, now)
	}
	if _, to, doubted := s.ClockJump(); !doubted || !to.Equal(w.real) {
		t.Errorf("jumped to %v: %v", to, doubted)
	}
	old := s.keys(KeyRef{Use: keys.UseSealing})[0]
	for range 70 {
		w.pass(day)
		s = w.again(t, s, how)
		if _, err := s.Rotate(p); err != nil {
			t.Fatal(err)
		}
		valid(t, s, w.real)
	}
	if slices.ContainsFunc(s.keys(KeyRef{Use: keys.UseSealing}), func(k keys.KeyInfo) bool { return k.TinkID == old.TinkID }) {
		t.Error("steps do not go on: the oldest key is still there")
	}
	if _, _, doubted := s.ClockJump(); doubted {
		t.Error("a clock that has been right for months is still in doubt")
	}
}

// TestAClockThatStartsAnew has a clock that shows 1970 or 2000 after the machine starts, for two readings.
func TestAClockThatStartsAnew(t *testing.T) {
	cheap(t)
	for _, how := range ways {
		for _, year := range []int{1970, 2000} {
			w := newWorld()
			s, _ := holders(t)
			w.use(s, how)
			if _, err := s.Rotate(DefaultRotation); err != nil {
				t.Fatal(err)
			}
			w.pass(20 * day) // more than half of a statement's life
			w.ahead = time.Date(year, 1, 1, 0, 0, 7, 0, time.UTC).Sub(w.real)
			public := s.Identity().Public()
			for range 2 {
				s = w.again(t, s, how)
				_, err := s.Rotate(DefaultRotation)
				if !errors.Is(err, ErrClock) || !strings.Contains(err.Error(), fmt.Sprint(year)) || !s.Identity().Public().Equal(public) {
					t.Errorf("%s, %d: %v", how.name, year, err)
				}
				w.pass(25 * time.Hour)
			}
			w.ahead = 0
			s = w.again(t, s, how)
			for range 2 { // after the first one the clock is in doubt, and the statement good for a week more
				if _, err := s.Rotate(DefaultRotation); err != nil {
					t.Error(err)
				}
				valid(t, s, w.real)
				w.pass(2 * time.Hour)
				s = w.again(t, s, how)
			}
			if p := s.Identity().Public(); w.real.Sub(p.Issued()) > 5*time.Hour || p.Serial() <= public.Serial() {
				t.Errorf("%s, %d: not renewed: %v", how.name, year, p.Issued())
			}
		}
	}
}

// TestExplicitStepsActInDoubt changes a key, as an operator would, while the clock is wrong by a year: the new
// key is used, and peers accept it once the clock is right again.
func TestExplicitStepsActInDoubt(t *testing.T) {
	cheap(t)
	w := newWorld()
	s, _ := holders(t)
	w.use(s, ways[0])
	w.pass(time.Hour)
	w.ahead = 365 * day
	for _, use := range []keys.Use{keys.UseSigning, keys.UseSealing} {
		ref := KeyRef{Use: use}
		id, err := s.Add(ref)
		if ref.TinkID = id; err != nil || s.Promote(ref) != nil {
			t.Fatal(err)
		}
	}
	if _, _, doubted := s.ClockJump(); !doubted {
		t.Error("nothing tells that the clock is in doubt")
	}
	w.pass(10 * time.Minute)
	w.ahead = 0
	if _, err := s.Rotate(DefaultRotation); err != nil {
		t.Fatal(err)
	}
	p := s.Identity().Public()
	if err := refused(p, w.real); err != nil || !p.RecipientKey().ValidAt(w.real) {
		t.Error("peers refuse it: ", err)
	}
	old := p.VerifyingKeys()[1]
	if !old.ValidAt(w.real) || old.ValidAt(w.real.Add(time.Hour)) {
		t.Error("the key before is valid at other times than its own")
	}
	from := validFrom(p, w.real)
	w.pass(time.Hour)
	if err := s.Renew(); err != nil || !validFrom(s.Identity().Public(), w.real).Equal(from) {
		t.Errorf("the next statement lists the key from later on: %v", err)
	}
}

// TestRunTellsOfAJump shows that Run logs a jump once.
func TestRunTellsOfAJump(t *testing.T) {
	cheap(t)
	w := newWorld()
	s, _ := holders(t)
	w.use(s, ways[0])
	w.ahead = 365 * day
	text := new(bytes.Buffer)
	p := RotationPolicy{Logger: slog.New(slog.NewTextHandler(text, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ctx, p)
	if n := strings.Count(text.String(), "the clock of this machine has jumped"); n != 1 || !strings.Contains(text.String(), "from="+w.real.UTC().Format("2006-01-02")) {
		t.Errorf("it logs:\n%s", text)
	}
}

// refused returns an error if peers refuse a statement at that time.
func refused(p *keys.PublicIdentity, at time.Time) error {
	if p.Revoked() || p.Lapsed(at) {
		return fmt.Errorf("the statement of %v is refused on %v", p.Issued(), at)
	}
	return nil
}

// A reader is a peer that remembers the newest statement, as known peers do.
type reader struct{ newest *keys.PublicIdentity }

func (r *reader) hear(p *keys.PublicIdentity) error {
	if n := r.newest; n != nil && (p.Serial() < n.Serial() || p.Serial() == n.Serial() && !p.Equal(n)) {
		return fmt.Errorf("statement %d after %d", p.Serial(), n.Serial())
	}
	r.newest = p
	return nil
}

// validFrom is the second from which the primary signing key is listed, which is not long before now.
func validFrom(p *keys.PublicIdentity, now time.Time) time.Time {
	const seconds = 60 * 24 * 60 * 60
	start := time.Unix(now.Unix()-seconds, 0)
	n := sort.Search(seconds, func(i int) bool { return p.VerifyingKey().ValidAt(start.Add(time.Duration(i) * time.Second)) })
	return start.Add(time.Duration(n) * time.Second)
}
