package lobby

import "crypto/sha256"

// Bounds of the attempts to go on with one session, counted from the first frame. An honest client
// makes one attempt at a time, each with another first frame; a hop may delay some of them.
const (
	maxAttempts = 4
	maxRepeats  = 2 // with the same first frame
)

// returners are the guests that go on with a session: whoever made their first frame holds its secret.
// Every hop has seen that frame and may send it again, so each session has few attempts. If there are
// too many, the one that has been silent longest makes room, repetitions first. A repetition itself
// evicts nobody, since no honest client sends a first frame twice. The lobby's mu guards them.
type returners struct {
	of     map[[32]byte][]*Guest // by id of resume
	silent silent
	seen   seen
}

// CheckRepeat returns an error if a guest's first frame, for an id, has been seen before and there is
// no room for another one like it. So nothing is computed for that frame.
func (g *Guest) CheckRepeat(id [32]byte, first []byte) error {
	if g == nil {
		return nil
	}
	frame := sha256.Sum256(first)
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	r := &g.lobby.returners
	if r.seen.has(frame) && r.crowded(id, frame) {
		return g.lobby.busy(0)
	}
	return nil
}

// Return makes a guest a returner: its first frame has opened under an id. It returns an error if
// there are too many attempts for that id.
func (g *Guest) Return(id [32]byte, first []byte) error {
	if g == nil {
		return nil
	}
	frame := sha256.Sum256(first)
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; !here {
		return g.evicted
	}
	r := &l.returners
	g.repeated = r.seen.has(frame)
	r.seen.add(frame)
	if g.repeated && r.crowded(id, frame) {
		return l.busy(0)
	}
	if len(r.of[id]) >= maxAttempts {
		other := spareOf(r.of[id])
		if other == nil {
			return l.busy(0)
		}
		l.evict(other)
	}
	g.kind, g.id, g.frame = returner, id, frame
	r.of[id] = append(r.of[id], g)
	return nil
}

// crowded reports whether there is no room for a repetition of a first frame.
func (r *returners) crowded(id, frame [32]byte) bool {
	same := 0
	for _, other := range r.of[id] {
		if other.frame == frame {
			same++
		}
	}
	return same >= maxRepeats || len(r.of[id]) >= maxAttempts
}

// spareOf returns the guest that has to make room for another attempt, or nil if none is silent.
func spareOf(guests []*Guest) (spare *Guest) {
	for _, g := range guests {
		if g.silence.in != nil && (spare == nil || g.leavesBefore(spare)) {
			spare = g
		}
	}
	return spare
}

// leavesBefore reports whether g has to make room before other does.
func (g *Guest) leavesBefore(other *Guest) bool {
	if g.repeated != other.repeated {
		return g.repeated
	}
	return g.silence.since.Before(other.silence.since)
}

// left removes a guest that has gone.
func (r *returners) left(g *Guest) {
	var others []*Guest
	for _, other := range r.of[g.id] {
		if other != g {
			others = append(others, other)
		}
	}
	if r.of[g.id] = others; len(others) == 0 {
		delete(r.of, g.id)
	}
}

// minSeen is how many first frames seen remembers at least. It remembers at most twice as many.
const minSeen = 1 << 14

// seen holds the hashes of the latest first frames that have opened.
type seen struct{ now, before map[[32]byte]struct{} }

func (s *seen) has(frame [32]byte) bool {
	_, now := s.now[frame]
	_, before := s.before[frame]
	return now || before
}

func (s *seen) add(frame [32]byte) {
	if s.now == nil || len(s.now) >= minSeen {
		s.now, s.before = map[[32]byte]struct{}{}, s.now
	}
	s.now[frame] = struct{}{}
}
