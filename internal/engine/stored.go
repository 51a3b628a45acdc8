package engine

import (
	"fmt"
	"time"
)

// AnswerStored is [AnswerResume] for a session that is in a store, of which only a resume
// secret is at hand. Whoever made r1 need not hold that secret: so the session is wanted
// only once r3 has opened, with the Action [Load].
func AnswerStored(cfg Config, secret [32]byte, now time.Time) (*Resume, error) {
	r, err := newResume(cfg, nil, now, serverStart)
	if err != nil {
		return nil, err
	}
	r.secret = secret
	return r, nil
}

// takeSecret reports whether the id is that of a secret that this end can go on with, and
// takes that for the attempt.
func (r *Resume) takeSecret(id [32]byte) (ok bool) {
	if r.session == nil {
		return resumeID(r.secret) == id
	}
	r.secret, ok = r.session.secretFor(id)
	return ok
}

// Loaded gives a server's attempt the session as its store has it now. The first time is
// what [Load] asks for. Later ones are for a session that another process has saved since.
// Nothing of the session is changed.
//
// Errors: [ErrUnknownSession] if the session has gone on from the secret of this attempt,
// which can still be refused with [CodeUnknown]; those of [Resume.Receive] if the attempt
// cannot be committed there, which is its end.
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

// A Head is what a store needs to have of a resume secret beside the session's state: the
// secret itself, encrypted, and the id under which a client asks for it.
type Head struct {
	ID     [32]byte
	Secret [secretSize]byte
}

// Format prints no secrets, whatever the verb (A42).
func (h Head) Format(f fmt.State, _ rune) { fmt.Fprint(f, "engine.Head(redacted)") }

// Heads returns the resume secrets by which a server finds this session: the one that is
// good for certain, and the next one while nobody knows yet whether the client has it.
// They change with every [Resume] that is done.
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
