package engine

// An attempt of a client's to come back counts, at a server, until a later one is committed.
// Whatever follows from one, for the session, follows in the step in which it is seen to
// count: an r3 may arrive whenever somebody on the way likes, and what it says may have been
// true when it was made.

// Counts reports whether a server's attempt that waits for a decision could still be
// committed: nothing that follows from one that cannot may change anything.
func (r *Resume) Committable() bool {
	if r.state != serverDecides {
		return false
	}
	r.session.mu.Lock()
	defer r.session.mu.Unlock()
	return r.session.committable(r)
}

// Condemn is [Resume.Refuse] of a client that must not come back at all, whatever the time is. If the attempt
// counts, the session is closed to every other attempt from the same moment on, so that
// none can be committed before the driver ends it. It reports whether the attempt did.
func (r *Resume) Condemn(code Code) (step Step, condemned bool) {
	if r.state == serverDecides {
		condemned = r.session.condemn(r)
	}
	step, _ = r.Refuse(code)
	return step, condemned
}

// condemn takes the session's secrets away, if the attempt counts.
func (s *Session) condemn(r *Resume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.committable(r) {
		return false
	}
	s.closeToResumes()
	return true
}

// shut closes the session to every link, until the driver ends it. It is called under mu.
func (s *Session) closeToResumes() {
	s.unlink()
	s.secret, s.next = nil, nil
}

// counts reports whether a server could go on from an attempt. One that was overtaken by
// a later one of the same client, or whose secret has been replaced since, does not
// count: it is a message that somebody held back. It is called under mu.
func (s *Session) committable(r *Resume) bool {
	switch {
	case s.secret == nil:
		return false
	case s.next != nil && r.secret == s.next.value:
		return r.attempt > 0
	}
	return r.secret == s.secret.value && r.attempt > s.secret.attempts
}

// committed returns the secret that a server goes on from, with the attempt counted,
// or why there is none. What an attempt says is looked at only if it counts: what was
// true when it was made may not be true any more. It is called under mu.
func (s *Session) commitSecret(r *Resume) (*secret, Reason) {
	switch {
	case !s.committable(r):
		return nil, ReasonCipher
	case !s.out.plausible(r.peerProgress):
		return nil, ReasonAck
	}
	return &secret{r.secret, r.attempt}, 0
}
