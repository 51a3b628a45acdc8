package lobby

import "crypto/sha256"

// Bounds of attempts to go on with one session, from the first frame on. An honest client makes
// one at a time, each with another first frame; a hop may hold some of them up.
const (
	maxAttempts = 4
	maxRepeats  = 2 // with the same first frame
)

// returners go on with a session: their first frame was made by somebody who holds its secret.
// Every hop has seen that frame and may send it again, so there are few attempts for each
// session. Beyond that the one that has been silent longest makes room, repetitions first. A
// repetition itself makes nobody leave: no honest client sends a first frame twice. They are
// guarded by the lobby's mu.
type returners struct {
	of     map[[32]byte][]*Guest // by id of resume
	silent silent
	seen   seen
}

// CheckRepeat returns an error if a guest's first frame, for an id, has been seen before and
// there is no room for another one like it. That saves computing for it.
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

// Return says that a guest's first frame has opened under an id: it is a returner. The error
// says that there are too many of that id.
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

// spareOf returns who has to make room for another attempt, or nil if nobody is silent.
func spareOf(guests []*Guest) (spare *Guest) {
	for _, g := range guests {
		if g.silence.in != nil && (spare == nil || g.leavesBefore(spare)) {
			spare = g
		}
	}
	return spare
}

// leavesBefore reports whether g makes room rather than another one.
func (g *Guest) leavesBefore(other *Guest) bool {
	if g.repeated != other.repeated {
		return g.repeated
	}
	return g.silence.since.Before(other.silence.since)
}

// left is called when a guest has gone.
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

// minSeen is how many first frames are remembered at least, and half of how many at most.
const minSeen = 1 << 14

// seen are hashes of the latest first frames that have opened.
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
