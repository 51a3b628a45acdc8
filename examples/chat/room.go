//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// What the chat puts into every envelope. The page does the same; README.md has
// the whole protocol.
const (
	contentType = "text/plain; charset=utf-8"
	maxName     = 64       // bytes, the relay's limit
	maxRoom     = 128      // bytes, the relay's limit
	maxText     = 16 << 10 // bytes of UTF-8 in one message
	maxMembers  = envelope.MaxRecipients
)

// Bounds of what is kept for the day that its sender is admitted.
const (
	maxWaiting     = 20      // messages of one member
	maxWaitingSize = 1 << 20 // bytes of one member
	maxWaitingAll  = 8 << 20 // bytes of all members
)

// A room is what one user knows of a room and decided about its members. It
// does no I/O, and trusts the relay in nothing: who is present, under what name
// and who sent a message are claims until an identity proves them.
type room struct {
	name    string
	me      *keys.Identity
	known   *trust.KnownPeers
	replay  *envelope.ReplayGuard
	members []*member // in the order of arrival

	// remember stores what replay holds. A failure is reported after the message,
	// which is not lost for it.
	remember func() error
}

// A member is somebody of whom the relay says that they are present.
type member struct {
	id      [16]byte
	name    string               // foreign text: escape it where it is shown
	public  *keys.PublicIdentity // nil where the presence is not an identity
	problem string               // why nobody could admit it; "" for an honest member
	waiting [][]byte             // sealed messages that came before it was admitted
	size    int                  // of all in waiting, in bytes
}

// errNobody is returned by seal while no admitted member is present.
var errNobody = errors.New("nobody here is admitted")

func (r *room) context() string { return "chat room " + r.name }

// expect says whom the user means by a name in this room. Each (room, name) has
// one fingerprint, so that another one under the same name is an alarm.
func (r *room) expect(name string) trust.Expected {
	address := "chat/" + url.PathEscape(r.name) + "/" + url.PathEscape(name)
	return trust.Expected{Address: address, Role: trust.RoleMember}
}

// enter adds a member and finds out what its presence is worth. It returns nil
// where the room is full.
func (r *room) enter(id [16]byte, name string, presence []byte) *member {
	if len(r.members) >= maxMembers {
		return nil
	}
	m := &member{id: id, name: name}
	public, err := keys.ParsePublic(presence)
	if err == nil {
		m.public = public
	}
	switch {
	case err != nil:
		m.problem = "what it shows is not a valid identity"
	case public.Fingerprint() == r.me.Fingerprint():
		m.problem = "it shows your own identity"
	case public.Name() != name:
		m.problem = "its identity was made for another name"
	case name == r.me.Name():
		m.problem = "it uses your name"
	}
	r.members = append(r.members, m)
	return m
}

// leave removes a member and returns it, nil where it was not present.
func (r *room) leave(id [16]byte) *member {
	i := slices.IndexFunc(r.members, func(m *member) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	m := r.members[i]
	r.members = slices.Delete(r.members, i, i+1)
	return m
}

// inherit gives the members what waited for the same identities under another
// id, before the connection broke.
func (r *room) inherit(before []*member) {
	for _, old := range before {
		for _, m := range r.members {
			if m.problem == "" && m.name == old.name && m.public.Equal(old.public) {
				m.waiting, m.size = old.waiting, old.size
				break
			}
		}
	}
}

func (r *room) find(id [16]byte) *member {
	for _, m := range r.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// check returns nil for a member whom the user has admitted, under this name, in
// this room, with this fingerprint. Otherwise it is a [*trust.Error], or an
// error with the member's problem.
func (r *room) check(m *member) error {
	if m.problem != "" {
		return errors.New(m.problem)
	}
	return r.known.Verify(context.Background(), r.expect(m.name), m.public)
}

// admit records that the user compared the member's fingerprint. It takes the
// place of whoever was admitted under the name before.
func (r *room) admit(m *member) error {
	if m.problem != "" {
		return errors.New(m.problem)
	}
	return r.known.Admit(r.expect(m.name), m.public)
}

// recipients returns the admitted members who are present, each key once: a
// relay that shows a member twice must not keep anybody from sending.
func (r *room) recipients() []*keys.PublicIdentity {
	var to []*keys.PublicIdentity
	listed := make(map[keys.SealingKeyID]bool)
	for _, m := range r.members {
		if r.check(m) == nil && !listed[m.public.RecipientKey().ID()] {
			listed[m.public.RecipientKey().ID()] = true
			to = append(to, m.public)
		}
	}
	return to
}

// seal seals text to the admitted members, and to nobody else.
func (r *room) seal(text string) (sealed []byte, readers int, err error) {
	switch {
	case len(text) > maxText:
		return nil, 0, fmt.Errorf("a message has at most %d bytes, this one %d: split it", maxText, len(text))
	case !utf8.ValidString(text):
		return nil, 0, errors.New("this is not UTF-8 text")
	}
	to := r.recipients()
	if len(to) == 0 {
		return nil, 0, errNobody
	}
	s := envelope.Sealer{From: r.me, To: to, ContentType: contentType, Context: r.context()}
	sealed, err = s.Seal(nil, []byte(text))
	return sealed, len(to), err
}

// errNotText is returned by open for a genuine message that is not a chat text.
var errNotText = errors.New("not a chat text")

// open returns the text of a message from a member, who must have passed check.
// The text is the member's own: escape it where it is shown.
func (r *room) open(m *member, sealed []byte) (string, error) {
	o := envelope.Opener{Identity: r.me, From: m.public, Context: r.context(), Replay: r.replay}
	data, header, err := o.Open(nil, sealed)
	if err != nil {
		return "", err
	}
	if r.remember != nil {
		_ = r.remember() // before it is shown: a restart must not let it in again
	}
	if header.ContentType != contentType || len(data) > maxText || !utf8.Valid(data) {
		return "", errNotText
	}
	return string(data), nil
}

// wait keeps a sealed message for the time that its sender is admitted, and
// reports whether there was room for it.
func (r *room) wait(m *member, sealed []byte) bool {
	all := len(sealed)
	for _, other := range r.members {
		all += other.size
	}
	if len(m.waiting) >= maxWaiting || m.size+len(sealed) > maxWaitingSize || all > maxWaitingAll {
		return false
	}
	m.waiting = append(m.waiting, sealed)
	m.size += len(sealed)
	return true
}

// waited returns what was kept, in order, and forgets it.
func (m *member) waited() [][]byte {
	sealed := m.waiting
	m.waiting, m.size = nil, 0
	return sealed
}
