package e2e

import (
	"container/list"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// An entry is what a server knows about one of its sessions. It is guarded by the server's mu.
type entry struct {
	reservation *reservation
	ids         [][32]byte // under which the session is found
	parked      parkedSession
}

// find returns the session that a client wants to go on with, or nil.
func (srv *Server) find(id [32]byte) *Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	s := srv.resumable[id]
	if srv.closed || s == nil || s.flow.Over() {
		return nil
	}
	return s
}

// index makes a session found under the ids that it has now.
func (srv *Server) index(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if _, here := srv.sessions[s]; here {
		srv.indexLocked(s)
	}
}

// indexLocked is index for a caller that holds mu.
func (srv *Server) indexLocked(s *Session) {
	srv.unindexLocked(s)
	s.entry.ids = s.engine.ResumeIDs()
	for _, id := range s.entry.ids {
		srv.resumable[id] = s
	}
}

// unindexLocked takes a session's ids out of the index. An id may be another session's by now:
// a session that was restored has the ids that this process knew it by before. The caller holds
// mu.
func (srv *Server) unindexLocked(s *Session) {
	for _, id := range s.entry.ids {
		if srv.resumable[id] == s {
			delete(srv.resumable, id)
		}
	}
	s.entry.ids = nil
}

// lineChanged is called when a session has lost its line, and when it has got another. It looks
// at what is true now, because the two calls may come in any order.
func (srv *Server) lineChanged(s *Session) {
	for _, last := range srv.park(s) {
		go last.flow.CloseFor(CodeGoingAway, &CloseError{Err: ErrCrowded})
	}
}

// park counts a session as parked if it has no line, and as not parked if it has one. It returns
// the sessions for which there is no room then.
func (srv *Server) park(s *Session) (last []*Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	_, here := srv.sessions[s]
	was := s.entry.parked.all != nil
	switch is := here && s.flow.Line() == nil; {
	case is && !was:
		srv.parked.add(s)
		s.flow.Limits.SetParked(time.Now())
		if s.keeper != nil {
			s.keeper.Parked(true)
		}
	case !is && was:
		srv.parked.remove(s)
		s.flow.Limits.SetParked(time.Time{})
		if s.keeper != nil {
			s.keeper.Parked(false)
		}
	}
	if !here {
		return nil
	}
	who := s.entry.reservation.who
	for one := srv.parked.surplus(who); one != nil; one = srv.parked.surplus(who) {
		srv.parked.remove(one)
		last = append(last, one)
	}
	return last
}

// parked are the sessions of a server that wait for their clients. It is guarded by the server's
// mu. Each call takes the same time however many wait.
type parked struct {
	most, mostPerIdentity int

	all list.List // of *Session; the one that has waited longest first
	of  map[keys.Fingerprint]*list.List
}

// A parkedSession is a session's entry in a parked.
type parkedSession struct {
	who      keys.Fingerprint
	all, own *list.Element // nil where the session is not parked
}

// add has a session wait, as the latest.
func (p *parked) add(s *Session) {
	who := s.entry.reservation.who
	own := p.of[who]
	if own == nil {
		if p.of == nil {
			p.of = map[keys.Fingerprint]*list.List{}
		}
		own = list.New()
		p.of[who] = own
	}
	s.entry.parked = parkedSession{who, p.all.PushBack(s), own.PushBack(s)}
}

// remove takes a session out, if it waits.
func (p *parked) remove(s *Session) {
	at := s.entry.parked
	if at.all == nil {
		return
	}
	p.all.Remove(at.all)
	own := p.of[at.who]
	if own.Remove(at.own); own.Len() == 0 {
		delete(p.of, at.who)
	}
	s.entry.parked = parkedSession{}
}

// surplus returns the session that has to end, if there are too many now that one of an identity
// was added, or nil.
func (p *parked) surplus(latest keys.Fingerprint) *Session {
	own := p.of[latest]
	switch {
	case own != nil && own.Len() > p.mostPerIdentity:
		return own.Front().Value.(*Session)
	case p.all.Len() > p.most:
		return p.all.Front().Value.(*Session)
	}
	return nil
}
