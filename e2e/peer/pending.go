package peer

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A link that another member has opened is pending until that member has proved who it is. Anybody
// in the topic may open links and prove nothing, so the number of pending links is limited. There
// are three kinds of members that open links, and two limits:
//
//	resuming       goes on with an existing session, by its id
//	known members  have the name of somebody with whom there is a session
//	strangers      are all others, and have a limit of their own
//
// When there are as many strangers as may be, a new one evicts the link that has waited longest, among
// those of the member with the most links. A member that has a pending link already evicts one of its
// own. So a member that opens links without end gets in nobody's way but its own. Links on which a
// proof has come are evicted last. A member whose links never prove anything can open no more than
// one a second for long.
//
// Under the other limit, only a member with several links is evicted, or a known member for one that
// resumes. Honest members have one link each, many come at the same time after a relay was gone, and
// what they have begun is to be finished.
//
// A member whose link is refused or evicted is told to try later.
type openerKind int

const (
	stranger openerKind = iota
	knownMember
	resuming
)

const (
	maxPerMember = 8           // pending links of one member under one limit
	openBurst    = 8           // links that a member may open at once, unless it resumes,
	openInterval = time.Second // and how often after that
	retryDelay   = time.Second // how long a refused member is told to wait, and a random time up to that

	maxCloseNotices = 64 // notices that wait
)

var errEvicted = errors.New("peer: too many links at once, and this one had waited longest")

// pendingLimits is how many pending links there may be.
type pendingLimits struct{ strangers, others int }

func limitsFor(places int) pendingLimits {
	return pendingLimits{max((places+1)/2, 1), max(places/2, 1)}
}

// A pace bounds how often a member opens links.
type pace struct{ full time.Time } // when it may open as many as at first

// take counts a link, and reports whether the member may open it.
func (p *pace) take(now time.Time) bool {
	next := later(p.full, now).Add(openInterval)
	if next.Sub(now) > openBurst*openInterval {
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

// openerOf returns the kind of member that opens a link with this first message.
func (n *Node) openerOf(name string, first []byte) openerKind {
	if n.server.Resumes(first) {
		return resuming
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.findSession(name) != nil {
		return knownMember
	}
	return stranger
}

// admit adds a pending link, if it may. It returns the link to evict for it, nil for none.
func (w *membership) admit(l *link, places pendingLimits) (out *link, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.kind != resuming && !w.paceOf(l.member).take(time.Now()) {
		return nil, false
	}
	share := w.pending(func(other *link) bool { return (other.kind == stranger) == (l.kind == stranger) })
	most := places.others
	if l.kind == stranger {
		most = places.strangers
	}
	own := share.from(l.member)
	switch {
	case len(own) >= maxPerMember, len(share) >= most && len(own) > 0:
		out = own.longestWaiting()
	case len(share) < most:
	case l.kind == stranger:
		out = share.ofBusiest().longestWaiting()
	default:
		out = share.evictable(l.kind)
		if out == nil {
			return nil, false
		}
	}
	w.links[linkKey{l.member, l.id}] = l
	return out, true
}

// paceOf returns the pace of a member. The caller holds w.mu.
func (w *membership) paceOf(id relay.MemberID) *pace {
	if w.paces[id] == nil {
		w.paces[id] = new(pace)
	}
	return w.paces[id]
}

// refundPace takes a link off its member's pace, because the member was let in.
func (w *membership) refundPace(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.paces[l.member]; p != nil {
		p.full = p.full.Add(-openInterval)
	}
}

type pendingLinks []*link

// pending returns the pending links that match. The caller holds w.mu.
func (w *membership) pending(match func(*link) bool) (found pendingLinks) {
	for _, l := range w.links {
		if match(l) && l.isPending() {
			found = append(found, l)
		}
	}
	return found
}

func (g pendingLinks) filter(match func(*link) bool) (found pendingLinks) {
	for _, l := range g {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

func (g pendingLinks) from(id relay.MemberID) pendingLinks {
	return g.filter(func(l *link) bool { return l.member == id })
}

// longestWaiting returns the link that has waited longest. It prefers links on which no proof has come.
func (g pendingLinks) longestWaiting() (first *link) {
	for _, l := range g {
		if first == nil || first.hasProof() && !l.hasProof() || first.hasProof() == l.hasProof() && l.order < first.order {
			first = l
		}
	}
	return first
}

// ofBusiest returns the links of the members that have the most.
func (g pendingLinks) ofBusiest() pendingLinks {
	count, most := map[relay.MemberID]int{}, 0
	for _, l := range g {
		count[l.member]++
		most = max(most, count[l.member])
	}
	return g.filter(func(l *link) bool { return count[l.member] == most })
}

// evictable returns the link that makes room for one of a known or resuming member, or nil.
func (g pendingLinks) evictable(kind openerKind) *link {
	if crowd := g.ofBusiest(); len(g.from(crowd[0].member)) > 1 {
		return crowd.longestWaiting()
	}
	if kind != resuming {
		return nil
	}
	return g.filter(func(l *link) bool { return l.kind == knownMember }).longestWaiting()
}

// isPending reports whether the other end has opened the link and not proved who it is.
func (l *link) isPending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// hasProof reports whether a second message has come, which has to be the proof.
func (l *link) hasProof() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.received > 1
}

// evict ends a link to make room for another one, and tells its member to try later.
func (w *membership) evict(l *link) {
	l.end(&transport.CloseError{Code: transport.CodeTryLater, Err: errEvicted}, false)
	w.refuse(l.member, l.id)
}

// refuse tells a member to try later.
func (w *membership) refuse(to relay.MemberID, id linkID) {
	w.notifyClosed(to, id, transport.CodeTryLater, transport.WaitReason(retryDelay+rand.N(retryDelay), "too many links at once"))
}

// notifyClosed tells a member that a link is over. It never waits: if too many notices are queued, the
// member finds out by itself.
func (w *membership) notifyClosed(to relay.MemberID, id linkID, code transport.Code, reason string) {
	select {
	case w.closeNotices <- outgoing{to, frame{kindClose, id, closeBody(code, reason)}.append(nil)}:
	default:
	}
}
