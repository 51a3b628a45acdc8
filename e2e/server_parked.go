package e2e

import (
	"container/list"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// An entry is what the server knows about one of its sessions, and counts in its quota. The
// server's mu guards it.
type entry struct {
	who     keys.Fingerprint // the client
	session *Session         // nil until there is one
	ids     [][32]byte       // the session's, in the index
	parked  parkedSession
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

// index lets clients find a session under the ids that it has now.
func (srv *Server) index(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if e, here := srv.sessions[s]; here {
		srv.indexLocked(e)
	}
}

// indexLocked is index for a caller that holds mu.
func (srv *Server) indexLocked(e *entry) {
	srv.unindexLocked(e)
	e.ids = e.session.engine.ResumeIDs()
	for _, id := range e.ids {
		srv.resumable[id] = e.session
	}
}

// unindexLocked takes a session's ids out of the index. An id may belong to another Session by
// now: a restored one has the ids that this process knew it by before. The caller holds mu.
func (srv *Server) unindexLocked(e *entry) {
	for _, id := range e.ids {
		if srv.resumable[id] == e.session {
			delete(srv.resumable, id)
		}
	}
	e.ids = nil
}

// lineChanged runs when a session has lost its line, and when it has another. It checks which
// is true now, because the two calls may come in any order.
func (srv *Server) lineChanged(s *Session) {
	for _, last := range srv.park(s) {
		go last.flow.CloseFor(CodeGoingAway, &CloseError{Err: ErrCrowded})
	}
}

// park counts a session as parked if it has no line, and as not parked if it has one. It returns
// the parked sessions for which there is no room any more.
func (srv *Server) park(s *Session) (last []*Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	e, here := srv.sessions[s]
	if !here {
		return nil
	}
	was := e.parked.all != nil
	switch is := s.flow.Line() == nil; {
	case is && !was:
		srv.parked.add(e)
		s.flow.Limits.SetParked(time.Now())
		if s.keeper != nil {
			s.keeper.Parked(true)
		}
	case !is && was:
		srv.parked.remove(e)
		s.flow.Limits.SetParked(time.Time{})
		if s.keeper != nil {
			s.keeper.Parked(false)
		}
	}
	for one := srv.parked.surplus(e.who); one != nil; one = srv.parked.surplus(e.who) {
		srv.parked.remove(one)
		last = append(last, one.session)
	}
	return last
}

// parked holds the sessions of a server that wait for their clients. The server's mu guards it.
// Each call takes the same time however many wait.
type parked struct {
	most, mostPerIdentity int

	all list.List // of *entry; the one that has waited longest first
	of  map[keys.Fingerprint]*list.List
}

// A parkedSession is a session's entry in a parked.
type parkedSession struct {
	all, own *list.Element // nil where the session is not parked
}

// add puts a session last among those that wait.
func (p *parked) add(e *entry) {
	who := e.who
	own := p.of[who]
	if own == nil {
		if p.of == nil {
			p.of = map[keys.Fingerprint]*list.List{}
		}
		own = list.New()
		p.of[who] = own
	}
	e.parked = parkedSession{p.all.PushBack(e), own.PushBack(e)}
}

// remove takes out a session, if it waits.
func (p *parked) remove(e *entry) {
	at := e.parked
	if at.all == nil {
		return
	}
	p.all.Remove(at.all)
	own := p.of[e.who]
	if own.Remove(at.own); own.Len() == 0 {
		delete(p.of, e.who)
	}
	e.parked = parkedSession{}
}

// surplus returns the session that must end, if too many wait after one of the identity latest
// was added, or nil.
func (p *parked) surplus(latest keys.Fingerprint) *entry {
	own := p.of[latest]
	switch {
	case own != nil && own.Len() > p.mostPerIdentity:
		return own.Front().Value.(*entry)
	case p.all.Len() > p.most:
		return p.all.Front().Value.(*entry)
	}
	return nil
}
