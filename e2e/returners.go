package e2e

import (
	"crypto/sha256"
	"time"
)

// Bounds of attempts to go on with one session, from the first frame on. An honest client makes
// one at a time, each with another first frame; some of its hops may hold up.
const (
	mostAttempts = 4
	mostRepeats  = 2 // with the same first frame
)

// returners go on with a session: their first frame was made by somebody who holds its secret.
// Every hop has seen it, and may send it again, so there are few for each session. Behind
// these the one that has been silent for longest makes room, repetitions first. Repetitions
// push nobody out: no honest client sends a first frame twice. They are guarded by the lobby's
// mu.
type returners struct {
	of     map[[32]byte][]*guest // by id of resume
	silent hush
	seen   seen
}

// repeats says whether a guest whose first frame is for an id would find no room, since that was
// seen before. It saves computing for it.
func (g *guest) repeats(id [32]byte, first []byte) error {
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

// returns says that a guest's first frame has opened under an id.
func (g *guest) returns(id [32]byte, first []byte) error {
	if g == nil {
		return nil
	}
	frame := sha256.Sum256(first)
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; !here {
		return g.why
	}
	r := &l.returners
	g.repeated = r.seen.has(frame)
	r.seen.add(frame)
	if g.repeated && r.crowded(id, frame) {
		return l.busy(0)
	}
	if len(r.of[id]) >= mostAttempts {
		other := spareOf(r.of[id])
		if other == nil {
			return l.busy(0)
		}
		l.turnOut(other)
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
	return same >= mostRepeats || len(r.of[id]) >= mostAttempts
}

// spareOf returns who has to make room for another attempt, or nil if nobody is silent.
func spareOf(guests []*guest) (spare *guest) {
	for _, g := range guests {
		if g.quiet.hush != nil && (spare == nil || g.before(spare)) {
			spare = g
		}
	}
	return spare
}

// before reports whether g makes room rather than another one.
func (g *guest) before(other *guest) bool {
	if g.repeated != other.repeated {
		return g.repeated
	}
	return g.quiet.since.Before(other.quiet.since)
}

func (r *returners) silence(g *guest) { r.silent.add(g, time.Now()) }

// left is called when a guest has gone.
func (r *returners) left(g *guest) {
	var others []*guest
	for _, other := range r.of[g.id] {
		if other != g {
			others = append(others, other)
		}
	}
	if r.of[g.id] = others; len(others) == 0 {
		delete(r.of, g.id)
	}
}

// mostSeen is how many first frames are remembered at least, and half of how many at most.
const mostSeen = 1 << 14

// seen are hashes of the latest first frames that have opened.
type seen struct{ now, before map[[32]byte]struct{} }

func (s *seen) has(frame [32]byte) bool {
	_, now := s.now[frame]
	_, before := s.before[frame]
	return now || before
}

func (s *seen) add(frame [32]byte) {
	if s.now == nil || len(s.now) >= mostSeen {
		s.now, s.before = map[[32]byte]struct{}{}, s.now
	}
	s.now[frame] = struct{}{}
}
