package upkeep

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/internal/sleep"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys/trust"
)

// These constants say when the follower asks about open sessions after their Verifier has told of
// a change. If the Verifier answers at once, the last question comes after roundPause and
// roundSpread. That is well within two seconds, even if the Verifier itself hears of the change a
// second late.
const (
	roundSpread = 400 * time.Millisecond // a round spreads its sessions over this time
	roundPause  = 500 * time.Millisecond // between the beginnings of two rounds
	roundBatch  = 100                    // sessions of a round that are asked about at once

	retryFirst = time.Second // until the follower asks again about sessions without an answer
	retryMost  = 30 * time.Second

	mostFollowing = 64 // questions at a time, including those that never get an answer
)

// A Followed is a session as a [Follower] sees it.
type Followed struct {
	// Ask asks the Verifier about the other end, and ends the session after a no. It returns an
	// error if there is no answer.
	Ask func(context.Context) error

	asked atomic.Bool // Ask is under way
}

// A Follower rechecks sessions when their Verifier tells of a change. It has no goroutine while
// nothing changes. A nil Follower follows nobody: its exported methods may be called.
type Follower struct {
	open   func() []*Followed // nil: own
	log    *slog.Logger
	wait   time.Duration // for an answer
	lag    time.Duration // before a round, at most
	turns  chan struct{} // holds a token for each question that is not answered
	unhook func()

	life context.Context
	over context.CancelFunc

	mu      sync.Mutex // guards what follows
	own     *Followed
	changes uint64    // that the Verifier has told of
	changed bool      // since the latest round began
	began   time.Time // when the latest round did
	busy    bool      // a round is under way, or timer will begin one
	timer   *time.Timer
	left    map[*Followed]struct{} // sessions without an answer
	why     error                  // for one of left: why there was no answer
	retry   time.Duration
}

// NewFollower returns a follower, or nil if the Verifier tells of no changes. A server's follower
// spreads its sessions over a round. Sessions that each have a follower spread their rounds.
func NewFollower(verifier trust.Verifier, log *slog.Logger, wait time.Duration, open func() []*Followed) *Follower {
	v, tells := verifier.(trust.ChangeNotifier)
	if !tells {
		return nil
	}
	f := &Follower{open: open, log: log, wait: wait,
		turns: make(chan struct{}, mostFollowing), left: map[*Followed]struct{}{}}
	if open == nil {
		f.lag = roundSpread
	}
	f.life, f.over = context.WithCancel(context.Background())
	f.unhook = v.OnChange(f.tell)
	return f
}

// End stops following.
func (f *Follower) End() {
	if f == nil {
		return
	}
	f.unhook()
	f.over()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	clear(f.left)
}

// tell counts a change. The Verifier calls it.
func (f *Follower) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	f.again()
}

// Seen returns how many changes the Verifier has told of. Callers need it for Joined, and call it
// before they ask the Verifier.
func (f *Follower) Seen() uint64 {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes
}

// Follow makes the follower follow one session alone. The follower must be made before the
// Verifier is asked about that session.
func (f *Follower) Follow(s *Followed) {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.own = s
	f.mu.Unlock()
	f.Joined(0)
}

// Joined tells the follower that a session is now among the open ones. If something has changed
// since seen, the Verifier's yes may be older than the change, so Joined begins a round.
func (f *Follower) Joined(seen uint64) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes != seen {
		f.again()
	}
}

// again makes the follower ask about all sessions. The caller holds mu.
func (f *Follower) again() {
	f.changed, f.retry = true, 0
	if f.busy && (f.timer == nil || !f.timer.Stop()) {
		return // the round that is under way calls next
	}
	f.next()
}

// next sets the time of the next round. The caller holds mu.
func (f *Follower) next() {
	wait := time.Until(f.began.Add(roundPause))
	switch {
	case f.life.Err() != nil, !f.changed && len(f.left) == 0:
		f.busy = false
		return
	case !f.changed:
		f.retry = min(max(2*f.retry, retryFirst), retryMost)
		wait = f.retry
	case f.lag > 0:
		wait = max(wait, rand.N(f.lag))
	}
	f.busy = true
	f.timer = time.AfterFunc(wait, f.round)
}

// round asks about all sessions after a change, and otherwise about those without an answer.
func (f *Follower) round() {
	f.mu.Lock()
	all, own, left, why := f.changed, f.own, slices.Collect(maps.Keys(f.left)), f.why
	f.changed, f.began, f.timer, f.why = false, time.Now(), nil, nil
	clear(f.left)
	f.mu.Unlock()
	if len(left) > 0 {
		outcome.LogUnanswered(f.log, len(left), why)
	}
	switch {
	case !all:
	case f.open != nil:
		left = f.open()
	case own != nil:
		left = []*Followed{own}
	}
	f.ask(left)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next()
}

// ask asks about sessions, a few at a time. It waits for a turn for each, but not for answers.
func (f *Follower) ask(sessions []*Followed) {
	each := roundSpread / time.Duration(max(len(sessions), 1))
	began := time.Now()
	for i, s := range sessions {
		if i%roundBatch == 0 {
			sleep.For(f.life, time.Until(began.Add(each*time.Duration(i))))
		}
		if err := f.turn(); err != nil {
			f.unanswered(err, sessions[i:]...)
			return
		}
		go f.askAbout(s)
	}
}

// turn waits for a turn, at most as long as an answer may take.
func (f *Follower) turn() error {
	select {
	case f.turns <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(f.life, f.wait)
	defer cancel()
	select {
	case f.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askAbout asks about a session, unless an earlier question about it is under way. It keeps its
// turn until the answer comes.
func (f *Follower) askAbout(s *Followed) {
	if !s.asked.CompareAndSwap(false, true) {
		<-f.turns
		f.unanswered(context.DeadlineExceeded, s)
		return
	}
	ctx, cancel := context.WithTimeout(f.life, f.wait)
	defer cancel()
	_, err := aside.Within(ctx, func(ctx context.Context) (struct{}, error) {
		defer func() {
			s.asked.Store(false)
			<-f.turns
		}()
		return struct{}{}, s.Ask(ctx)
	})
	if err != nil {
		f.unanswered(err, s)
	}
}

// unanswered makes the follower ask about sessions again later.
func (f *Follower) unanswered(why error, sessions ...*Followed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.life.Err() != nil {
		return
	}
	f.why = why
	for _, s := range sessions {
		f.left[s] = struct{}{}
	}
	if !f.busy {
		f.next()
	}
}
