package peer

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A link that somebody else has opened is a guest until its other end has proved who it is.
// Anybody in the topic may open links and prove nothing, so there are three kinds, and two
// shares of places:
//
//	returners  go on with a session that there is, by its id
//	members    have the name of somebody with whom there is a session
//	strangers  are all others: they have a share of their own
//
// Where the strangers' share is full, whoever has waited longest goes, of the member who has
// most links; a member that has one already makes room by itself. So one who opens links
// without end is in nobody's way but its own. Whoever has sent its proof is not turned out
// before others. A member of whom nobody is let in can open no more than a link a second for
// long.
//
// Where the other share is full, returners turn members out, and nobody else goes but for a
// member with several links: honest ones come one by one, many at a time when a relay was
// gone, and what is begun is to be finished.
//
// Whoever finds no place, or loses it, is told to try later.
type guestKind int

const (
	stranger guestKind = iota
	member
	returner
)

const (
	maxOfOne     = 8           // links of one member in a share
	opensAtATime = 8           // links that a member may open at once, returners apart,
	openEvery    = time.Second // and after that
	tryAgain     = time.Second // that whoever finds no place is told to wait, and a random time up to that

	maxFarewells = 64 // members that are to be told that a link is over
)

var errCrowded = errors.New("peer: too many links at once, and this one had waited longest")

// shares is how many guests there may be.
type shares struct{ strangers, others int }

func sharesOf(places int) shares {
	return shares{max((places+1)/2, 1), max(places/2, 1)}
}

// A pace bounds how often a member opens links.
type pace struct{ full time.Time } // when it may open as many as at first

func (p *pace) take(now time.Time) bool {
	next := later(p.full, now).Add(openEvery)
	if next.Sub(now) > opensAtATime*openEvery {
		return false
	}
	p.full = next
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// kindOf says what kind of guest opens a link with this frame.
func (n *Node) kindOf(name string, first []byte) guestKind {
	if n.server.Resumes(first) {
		return returner
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.find(name) != nil {
		return member
	}
	return stranger
}

// admit gives a guest a place, and returns who has lost his for it, if anybody has.
func (w *way) admit(l *link, places shares) (out *link, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.kind != returner && !w.paceOf(l.member).take(time.Now()) {
		return nil, false
	}
	share := w.guests(func(other *link) bool { return (other.kind == stranger) == (l.kind == stranger) })
	most := places.others
	if l.kind == stranger {
		most = places.strangers
	}
	own := share.of(l.member)
	switch {
	case len(own) >= maxOfOne, len(share) >= most && len(own) > 0:
		out = own.first()
	case len(share) < most:
	case l.kind == stranger:
		out = share.crowd().first()
	default:
		out = share.spare(l.kind)
		if out == nil {
			return nil, false
		}
	}
	w.links[linkKey{l.member, l.id}] = l
	return out, true
}

// paceOf is called under mu.
func (w *way) paceOf(id relay.MemberID) *pace {
	if w.paces[id] == nil {
		w.paces[id] = new(pace)
	}
	return w.paces[id]
}

// welcome gives a member back what it has spent on a link: it is somebody to talk to.
func (w *way) welcome(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.paces[l.member]; p != nil {
		p.full = p.full.Add(-openEvery)
	}
}

type guests []*link

// guests returns those who match. It is called under mu.
func (w *way) guests(match func(*link) bool) (found guests) {
	for _, l := range w.links {
		if match(l) && l.isGuest() {
			found = append(found, l)
		}
	}
	return found
}

func (g guests) match(match func(*link) bool) (found guests) {
	for _, l := range g {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

func (g guests) of(id relay.MemberID) guests {
	return g.match(func(l *link) bool { return l.member == id })
}

// first returns who has waited longest, of those who have not sent their proof if there are any.
func (g guests) first() (first *link) {
	for _, l := range g {
		if first == nil || first.hasProof() && !l.hasProof() || first.hasProof() == l.hasProof() && l.order < first.order {
			first = l
		}
	}
	return first
}

// crowd returns the guests of the members that have most.
func (g guests) crowd() guests {
	count, most := map[relay.MemberID]int{}, 0
	for _, l := range g {
		count[l.member]++
		most = max(most, count[l.member])
	}
	return g.match(func(l *link) bool { return count[l.member] == most })
}

// spare returns who has to make room for a guest that is no stranger, or nil.
func (g guests) spare(kind guestKind) *link {
	if crowd := g.crowd(); len(g.of(crowd[0].member)) > 1 {
		return crowd.first()
	}
	if kind != returner {
		return nil
	}
	return g.match(func(l *link) bool { return l.kind == member }).first()
}

// isGuest reports whether the other end has opened a link and not proved who it is.
func (l *link) isGuest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.guest
}

// hasProof reports whether something has come that has to be the proof.
func (l *link) hasProof() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.received > 1
}

// turnOut ends a link for another one, and says so.
func (w *way) turnOut(l *link) {
	l.end(&transport.CloseError{Code: transport.CodeTryLater, Err: errCrowded}, false)
	w.refuse(l.member, l.id)
}

// refuse tells a member to try later.
func (w *way) refuse(to relay.MemberID, id linkID) {
	w.mention(to, id, transport.CodeTryLater, transport.WaitReason(tryAgain+rand.N(tryAgain), "too many links at once"))
}

// mention tells a member that a link is over, unless too many are to be told that: they find
// out by themselves. It never waits.
func (w *way) mention(to relay.MemberID, id linkID, code transport.Code, reason string) {
	select {
	case w.farewells <- outgoing{to, frame{kindClose, id, closeBody(code, reason)}.append(nil)}:
	default:
	}
}
