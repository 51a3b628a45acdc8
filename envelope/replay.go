package envelope

import (
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// Bounds of a ReplayGuard.
const (
	replayWindow    = keys.ClockSkew // a message older or newer than this is refused
	replayPerSender = 1 << 14        // ids remembered for one sender, about 1 MB
)

// A ReplayGuard remembers which messages were opened, per sender, so that none
// opens twice. Its memory is bounded: it remembers for five minutes and refuses
// what is older, and where one sender fills its share, the oldest time that is
// still accepted from that sender rises. It refuses rather than forgets.
//
// One guard serves all Openers of one identity. It is safe for concurrent use.
type ReplayGuard struct {
	mu      sync.Mutex
	since   time.Time
	senders map[sender]*seen // only senders whose proof verified
}

type sender struct {
	root  keys.Fingerprint
	party string
}

// seen is what is remembered of one sender.
type seen struct {
	floor time.Time // nothing at or before it is accepted
	ids   map[MessageID]time.Time
}

// NewReplayGuard returns an empty guard that accepts messages sealed after
// since. After a restart that lost the guard, pass the time of the start: what
// was opened before then cannot be told from a replay, by this process, and is
// refused. Where nothing can have been opened before, as with an identity made
// just now, pass the zero time.
func NewReplayGuard(since time.Time) *ReplayGuard {
	return &ReplayGuard{since: since, senders: make(map[sender]*seen)}
}

// accept records the message, whose proof has verified, or refuses it.
func (g *ReplayGuard) accept(h Header, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.Time.Before(now.Add(-replayWindow)) || h.Time.After(now.Add(replayWindow)) {
		return fail(ReasonTime)
	}
	from := sender{h.Sender, h.Party}
	s := g.senders[from]
	if s == nil {
		g.forgetIdle(now)
		s = &seen{floor: g.since, ids: make(map[MessageID]time.Time)}
		g.senders[from] = s
	}
	return s.accept(h, now)
}

func (s *seen) accept(h Header, now time.Time) error {
	if _, opened := s.ids[h.ID]; opened {
		return fail(ReasonReplay)
	}
	if len(s.ids) >= replayPerSender {
		s.makeRoom(now)
	}
	if !h.Time.After(s.floor) {
		return fail(ReasonTime)
	}
	s.ids[h.ID] = h.Time
	return nil
}

// makeRoom drops what the window refuses anyway, or else the older half, and
// raises the floor to the newest that was dropped.
func (s *seen) makeRoom(now time.Time) {
	times := make([]time.Time, 0, len(s.ids))
	for _, t := range s.ids {
		times = append(times, t)
	}
	slices.SortFunc(times, time.Time.Compare)
	floor := times[len(times)/2]
	if old := now.Add(-replayWindow); floor.Before(old) {
		floor = old
	}
	s.raise(floor)
}

func (s *seen) raise(floor time.Time) {
	if floor.After(s.floor) {
		s.floor = floor
	}
	for id, t := range s.ids {
		if !t.After(s.floor) {
			delete(s.ids, id)
		}
	}
}

// forgetIdle drops senders of whom the window refuses everything remembered. The
// guard's own floor rises with them, so that a clock set back accepts nothing
// twice.
func (g *ReplayGuard) forgetIdle(now time.Time) {
	old := now.Add(-replayWindow)
	for from, s := range g.senders {
		if s.raise(old); len(s.ids) == 0 {
			delete(g.senders, from)
			if s.floor.After(g.since) {
				g.since = s.floor
			}
		}
	}
}
