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
// these the one that has been silent for longest makes room. They are guarded by the lobby's mu.
type returners struct {
	of     map[[32]byte][]*guest // by id of resume
	silent hush
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
	others, same := l.returners.of[id], 0
	for _, other := range others {
		if other.frame == frame {
			same++
		}
	}
	if same >= mostRepeats {
		return l.busy(0)
	}
	if len(others) >= mostAttempts {
		other := longestOf(others)
		if other == nil {
			return l.busy(0)
		}
		l.turnOut(other)
	}
	g.kind, g.id, g.frame = returner, id, frame
	l.returners.of[id] = append(l.returners.of[id], g)
	return nil
}

// longestOf returns who has been silent longest, or nil if none is.
func longestOf(guests []*guest) (longest *guest) {
	for _, g := range guests {
		if g.quiet.hush != nil && (longest == nil || g.quiet.since.Before(longest.quiet.since)) {
			longest = g
		}
	}
	return longest
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
