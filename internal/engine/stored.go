package engine

import (
	"fmt"
	"time"
)

// AnswerStored is like [AnswerResume], for a session in a store, of which the server has
// read only a resume secret. Whoever sent r1 may not hold that secret. So the Resume asks
// for the session, with the Action [Load], only once r3 has opened.
func AnswerStored(cfg Config, secret [32]byte, now time.Time) (*Resume, error) {
	r, err := newResume(cfg, nil, now, serverStart)
	if err != nil {
		return nil, err
	}
	r.secret = secret
	return r, nil
}

// takeSecret takes for the attempt the secret with this id. It reports whether this end
// has such a secret.
func (r *Resume) takeSecret(id [32]byte) (ok bool) {
	if r.session == nil {
		return resumeID(r.secret) == id
	}
	r.secret, ok = r.session.secretFor(id)
	return ok
}

// Loaded gives a server's attempt the session as the store has it now. [Load] asks for the
// first call. The driver calls it again if another process has saved the session since. It
// does not change the session.
//
// The error is [ErrUnknownSession] if the session no longer has the secret of this attempt.
// The driver can then still refuse the attempt with [CodeUnknown]. If the attempt cannot be
// committed to this session, the error is one of [Resume.Receive]'s, and the attempt ends.
func (r *Resume) Loaded(s *Session) (Step, error) {
	if r.state != serverLoads && r.state != serverDecides || s.client {
		return Step{}, ErrClosed
	}
	if _, ok := s.secretFor(resumeID(r.secret)); !ok {
		return Step{}, ErrUnknownSession
	}
	s.mu.Lock()
	_, reason := s.commitSecret(r)
	s.mu.Unlock()
	shown := r.storedIdentity
	if r.peer != nil {
		shown = r.peer.Bytes()
	}
	r.session = s
	if reason == 0 {
		reason = r.identify(shown)
	}
	if reason != 0 {
		return r.fail(reason)
	}
	r.storedIdentity, r.state = nil, serverDecides
	return Step{Next: Decide}, nil
}

// A Head is what a store keeps of a resume secret beside the session's state: the secret
// itself, which the store encrypts, and the id under which a client asks for it.
type Head struct {
	ID     [32]byte
	Secret [secretSize]byte
}

// Format prints no secrets, whatever the verb (A42).
func (h Head) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Head(redacted)") }

// Heads returns the resume secrets by which a server finds this session: the one that is
// good for certain, and the next one while the server does not know whether the client has
// it. They change with every [Resume] that is done.
func (s *Session) Heads() (heads []Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range []*secret{s.secret, s.next} {
		if x != nil {
			heads = append(heads, Head{resumeID(x.value), x.value})
		}
	}
	return heads
}

// ResumeIDs returns the ids of [Session.Heads].
func (s *Session) ResumeIDs() (ids [][32]byte) {
	for _, h := range s.Heads() {
		ids = append(ids, h.ID)
	}
	return ids
}
