package e2e

import (
	"container/list"

	"github.com/hopseal/hopseal/keys"
)

// A parking is where a server's sessions wait for their clients. It is guarded by the server's
// mu, and takes the same time however many wait.
type parking struct {
	most, mostPerIdentity int

	all list.List // of *Session; the one that has waited longest first
	of  map[keys.Fingerprint]*list.List
}

// A spot is where a session waits.
type spot struct {
	who      keys.Fingerprint
	all, own *list.Element // nil where it does not wait
}

// enter has a session wait, as the latest.
func (p *parking) enter(s *Session) {
	who := s.place.reservation.who
	own := p.of[who]
	if own == nil {
		if p.of == nil {
			p.of = map[keys.Fingerprint]*list.List{}
		}
		own = list.New()
		p.of[who] = own
	}
	s.place.spot = spot{who, p.all.PushBack(s), own.PushBack(s)}
}

// leave forgets a session, if it waits.
func (p *parking) leave(s *Session) {
	at := s.place.spot
	if at.all == nil {
		return
	}
	p.all.Remove(at.all)
	own := p.of[at.who]
	if own.Remove(at.own); own.Len() == 0 {
		delete(p.of, at.who)
	}
	s.place.spot = spot{}
}

// crowded returns the session that has to make room behind the latest one of an identity, or
// nil.
func (p *parking) crowded(latest keys.Fingerprint) *Session {
	own := p.of[latest]
	switch {
	case own != nil && own.Len() > p.mostPerIdentity:
		return own.Front().Value.(*Session)
	case p.all.Len() > p.most:
		return p.all.Front().Value.(*Session)
	}
	return nil
}
