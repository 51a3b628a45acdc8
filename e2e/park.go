package e2e

import "time"

// A place is what a server knows about one of its sessions. It is guarded by the
// server's mu.
type place struct {
	reservation *reservation
	ids         [][32]byte // under which it is found
	spot        spot       // where it waits
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
		srv.indexed(s)
	}
}

// indexed is index under mu.
func (srv *Server) indexed(s *Session) {
	srv.unindex(s)
	s.place.ids = s.engine.ResumeIDs()
	for _, id := range s.place.ids {
		srv.resumable[id] = s
	}
}

// unindex is called under mu. An id may be another session's by now: one that was restored
// has the ids that this process knew it by before.
func (srv *Server) unindex(s *Session) {
	for _, id := range s.place.ids {
		if srv.resumable[id] == s {
			delete(srv.resumable, id)
		}
	}
	s.place.ids = nil
}

// settle is called when a session has lost its line and when it has got another. It
// looks at what is true now: the two may come in any order.
func (srv *Server) settle(s *Session) {
	for _, last := range srv.park(s) {
		go last.flow.CloseFor(CodeGoingAway, &CloseError{Err: ErrCrowded})
	}
}

// park counts a session among those that wait if it has no line, and returns those for
// which there is no room then.
func (srv *Server) park(s *Session) (last []*Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	_, here := srv.sessions[s]
	waited := s.place.spot.all != nil
	switch waits := here && s.flow.Line() == nil; {
	case waits && !waited:
		srv.parking.enter(s)
		s.flow.Limits.SetParked(time.Now())
		if s.keeper != nil {
			s.keeper.Parked(true)
		}
	case !waits && waited:
		srv.parking.leave(s)
		s.flow.Limits.SetParked(time.Time{})
		if s.keeper != nil {
			s.keeper.Parked(false)
		}
	}
	if !here {
		return nil
	}
	who := s.place.reservation.who
	for one := srv.parking.crowded(who); one != nil; one = srv.parking.crowded(who) {
		srv.parking.leave(one)
		last = append(last, one)
	}
	return last
}
