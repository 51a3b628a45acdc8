package upkeep

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/keys/trust"
)

// When open sessions are asked about once their Verifier has told of a change. With a Verifier
// that answers at once, the last of them is after roundPause and roundSpread: well within two
// seconds, also where the Verifier itself hears of the change a second late.
const (
	roundSpread = 400 * time.Millisecond // over which the sessions of a round are spread
	roundPause  = 500 * time.Millisecond // between the beginnings of two rounds
	roundBatch  = 100                    // sessions of a round that are asked about at once

	retryFirst = time.Second // until those are asked about again for whom there was no answer
	retryMost  = 30 * time.Second

	mostFollowing = 64 // questions at a time, those included to which there is never an answer
)

// A Followed is a session as a [Follower] sees it.
type Followed struct {
	// Ask asks the Verifier about the other end, and ends the session after a no. The error is
	// that there is no answer.
	Ask func(context.Context) error

	asked atomic.Bool // there is no answer yet
}

// A Follower has sessions rechecked when their Verifier tells of a change. It has no goroutine
// while nothing changes. The methods that others call may be called on nil, which follows nobody.
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
	changes uint64    // that were told
	changed bool      // since the latest round began
	began   time.Time // when that was
	busy    bool      // a round is under way, or timer will begin one
	timer   *time.Timer
	left    map[*Followed]struct{} // about whom there was no answer
	why     error                  // there was none about one of them
	retry   time.Duration
}

// NewFollower returns nil where the Verifier tells of nothing. The sessions of a server are
// spread over a round; where each has a follower of its own, their rounds are.
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

// tell is called by the Verifier.
func (f *Follower) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	f.again()
}

// Seen returns how many changes were told. Whoever is about to ask the Verifier asks for it
// before.
func (f *Follower) Seen() uint64 {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes
}

// Follow has the follower follow one session alone. It was made before the Verifier was asked.
func (f *Follower) Follow(s *Followed) {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.own = s
	f.mu.Unlock()
	f.Joined(0)
}

// Joined is called when a session is among the open ones. If there was a change since seen, the
// Verifier's yes may be from before.
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

// again has all sessions asked about. The caller holds mu.
func (f *Follower) again() {
	f.changed, f.retry = true, 0
	if f.busy && (f.timer == nil || !f.timer.Stop()) {
		return // the round that is under way sees to it
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

// round asks about all sessions, or about those only for whom there was no answer.
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

// ask asks about sessions, a few at a time, and waits for a turn for each but for no answer.
func (f *Follower) ask(sessions []*Followed) {
	each := roundSpread / time.Duration(max(len(sessions), 1))
	began := time.Now()
	for i, s := range sessions {
		if i%roundBatch == 0 {
			Sleep(f.life, time.Until(began.Add(each*time.Duration(i))))
		}
		if err := f.turn(); err != nil {
			f.unanswered(err, sessions[i:]...)
			return
		}
		go f.askAbout(s)
	}
}

// turn waits for a turn, for as long as for an answer.
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

// askAbout keeps its turn until there is an answer, and does not ask about a session twice.
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

// unanswered has sessions asked about again, later.
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
