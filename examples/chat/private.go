//go:build !js

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport/relay"
)

const (
	// privateProtocol is what two members speak alone: each message is one text.
	privateProtocol = "chat-private/1"

	callTimeout = 20 * time.Second
	maxUntold   = 16 // texts that wait for one member
)

// private is what the user says to single members: over a session with each, end to end
// over the relay. Unlike envelopes, which stand alone, sessions have forward secrecy, and
// lose nothing when the relay is gone for a while.
type private struct {
	node    *peer.Node
	events  chan any // heard and told, for the chat
	running sync.WaitGroup

	talks map[string]chan string // texts for a member; of the chat's goroutine

	mu    sync.Mutex // guards what follows
	heard map[*e2e.Session]bool
}

// heard is what a member has said to the user alone.
type heard struct {
	from *keys.PublicIdentity
	text []byte
}

// told is what has become of a text for a member: err is nil once it has arrived.
type told struct {
	name string
	err  error
}

func newPrivate(r *room) (*private, error) {
	node, err := peer.New(r.name, peer.Config{
		Session: e2e.Config{
			Identity: r.me,
			Verifier: r.known, // those whom the user has admitted, and nobody else
			Protocol: privateProtocol,
			Options: e2e.Options{
				MaxMessage: maxText,
				Logger:     slog.New(slog.DiscardHandler), // the terminal is for the chat
			},
		},
		Address: func(name string) string { return r.expect(name).Address },
	})
	if err != nil {
		return nil, err
	}
	return &private{node: node, events: make(chan any), talks: map[string]chan string{}, heard: map[*e2e.Session]bool{}}, nil
}

// run takes the sessions that others begin, until ctx is done.
func (p *private) run(ctx context.Context) {
	for {
		session, err := p.node.Accept(ctx)
		if err != nil {
			return
		}
		p.listen(ctx, session)
	}
}

// end says goodbye to all, while what the relay says is still taken.
func (p *private) end(events <-chan any) {
	done := make(chan struct{})
	go func() {
		p.node.Close()
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		case <-p.events: // nobody reads any more
		case event := <-events:
			if e, ok := event.(relay.Event); ok {
				p.node.Handle(e)
			}
		}
	}
}

// tell hands a text to whoever talks to the member, and reports whether there was room.
func (p *private) tell(ctx context.Context, name, text string) bool {
	if p.talks[name] == nil {
		p.talks[name] = make(chan string, maxUntold)
		p.running.Go(func() { p.talk(ctx, name, p.talks[name]) })
	}
	select {
	case p.talks[name] <- text:
		return true
	default:
		return false
	}
}

// talk tells a member one text after the other.
func (p *private) talk(ctx context.Context, name string, texts <-chan string) {
	for {
		select {
		case text := <-texts:
			send(ctx, p.events, told{name, p.say(ctx, name, text)})
		case <-ctx.Done():
			return
		}
	}
}

// say returns when the text has arrived. While the relay is gone it waits.
func (p *private) say(ctx context.Context, name, text string) error {
	session, err := p.call(ctx, name)
	if err != nil {
		return err
	}
	if err := session.Send(ctx, []byte(text)); err != nil {
		return err
	}
	return session.Flush(ctx)
}

var errNoAnswer = errors.New("no answer: only terminals take private messages so far, pages do not")

// call returns the session with a member, and makes one if there is none.
func (p *private) call(ctx context.Context, name string) (*e2e.Session, error) {
	soon, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	session, err := p.node.Dial(soon, name)
	switch {
	case err != nil && ctx.Err() == nil && soon.Err() != nil:
		return nil, errNoAnswer
	case err != nil:
		return nil, err
	}
	p.listen(ctx, session)
	return session, nil
}

// listen hears what comes on a session, once.
func (p *private) listen(ctx context.Context, session *e2e.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heard[session] {
		return
	}
	p.heard[session] = true
	p.running.Go(func() {
		defer p.forget(session)
		for {
			text, err := session.Receive(ctx)
			if err != nil || !send(ctx, p.events, heard{session.Peer().PublicIdentity, text}) {
				return
			}
		}
	})
}

func (p *private) forget(session *e2e.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.heard, session)
}

// hear shows what a member said to the user alone. Whom the user trusts may have changed
// since the session began.
func (c *chat) hear(h heard) {
	name := shownName(h.from.Name())
	err := c.room.known.Verify(context.Background(), c.room.expect(h.from.Name()), h.from)
	switch {
	case err != nil:
		c.console.say("! dropped a private message from %s [identity]: %s", name, standing(err))
	case !utf8.Valid(h.text):
		c.console.say("! dropped a private message from %s [content]: it is not a chat text", name)
	default:
		c.console.say("%s (privately): %s", name, shownText(string(h.text)))
	}
}

// message does what /msg asks for.
func (c *chat) message(ctx context.Context, rest string) {
	name, text := cutName(rest)
	if name == "" || text == "" {
		c.console.say(`! to whom, and what? It is /msg NAME text, or /msg "NAME WITH BLANKS" text`)
		return
	}
	if err := c.admitted(name); err != nil {
		c.console.say("! not sent to %s: %v", shownName(name), err)
	} else if !c.private.tell(ctx, name, text) {
		c.console.say("! not sent to %s: too much waits for %[1]s already", shownName(name))
	}
}

// admitted returns nil for the name of an admitted member who is here.
func (c *chat) admitted(name string) error {
	err := errors.New("nobody here has this name: /members lists who is here")
	for _, m := range c.room.members {
		if m.name != name {
			continue
		}
		if checked := c.room.check(m); checked != nil {
			err = errors.New(standing(checked))
			continue
		}
		return nil
	}
	return err
}

// arrived says what has become of a private message.
func (c *chat) arrived(t told) {
	name := shownName(t.name)
	failed, ok := errors.AsType[*e2e.HandshakeError](t.err)
	switch {
	case t.err == nil:
		c.console.say("* %s has your private message", name)
	case ok && failed.Reason == e2e.ReasonRefused:
		c.console.say("! your private message did not go to %s, who has not admitted you, or not yet", name)
	case ok && failed.Reason == e2e.ReasonIdentity:
		c.console.say("! your private message did not go to %s: your own identity has expired: start again, and check both clocks", name)
	default:
		c.console.say("! a private message to %s is not known to have arrived: %s", name, safetext.Line(t.err.Error(), maxText))
	}
}
