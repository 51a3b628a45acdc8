package engine

// A server can commit a client's attempt to resume until it commits a later one. Somebody on
// the way may hold an r3 back as long as he likes, and what it says may not be true any more.
// So the server checks that an attempt is committable in the same step in which it changes
// the session for it.

// Committable reports whether a server can still commit an attempt that waits for a decision.
// If it cannot, nothing that the attempt says may change anything.
func (r *Resume) Committable() bool {
	if r.state != serverDecides {
		return false
	}
	r.session.mu.Lock()
	defer r.session.mu.Unlock()
	return r.session.committable(r)
}

// Condemn refuses a client that must never come back, at any time; see [Resume.Refuse]. If
// the attempt is committable, Condemn also closes the session to every other attempt at the
// same moment, so that none can be committed before the driver ends the session. It reports
// whether it did.
func (r *Resume) Condemn(code Code) (step Step, condemned bool) {
	if r.state == serverDecides {
		condemned = r.session.condemn(r)
	}
	step, _ = r.Refuse(code)
	return step, condemned
}

// condemn drops the session's secrets if the attempt is committable, and reports whether it
// is.
func (s *Session) condemn(r *Resume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.committable(r) {
		return false
	}
	s.closeToResumes()
	return true
}

// closeToResumes closes the session to every link, until the driver ends it. The caller
// holds mu.
func (s *Session) closeToResumes() {
	s.unlink()
	s.secret, s.next = nil, nil
}

// committable reports whether a server can go on from an attempt. It cannot if the same
// client has made a later one, or if the attempt's secret was replaced: then somebody has
// held the attempt back. The caller holds mu.
func (s *Session) committable(r *Resume) bool {
	switch {
	case s.secret == nil:
		return false
	case s.next != nil && r.secret == s.next.value:
		return r.attempt > 0
	}
	return r.secret == s.secret.value && r.attempt > s.secret.attempts
}

// commitSecret returns the secret that a server goes on from, with the attempt counted, or
// the reason why it cannot. It looks at what the attempt says only if the attempt is
// committable: in an old one it may not be true any more. The caller holds mu.
func (s *Session) commitSecret(r *Resume) (*secret, Reason) {
	switch {
	case !s.committable(r):
		return nil, ReasonCipher
	case !s.out.plausible(r.peerProgress):
		return nil, ReasonAck
	}
	return &secret{r.secret, r.attempt}, 0
}
