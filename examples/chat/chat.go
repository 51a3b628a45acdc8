//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport/relay"
)

// A chat is the terminal client once it is in the room. One goroutine owns it.
type chat struct {
	account *account
	room    *room
	private *private
	console *console
	client  *relay.Client // nil while the relay is gone
	shown   shownPeers
	last    []byte // sealed, as the relay had it: the last message read, dropped or sent
}

func newChat(a *account, roomName string, c *console) (*chat, error) {
	r := &room{name: roomName, me: a.identity, known: a.known, replay: a.replay, remember: a.keep}
	p, err := newPrivate(r)
	return &chat{account: a, room: r, private: p, console: c, shown: make(shownPeers)}, err
}

// run takes lines and events in turn until the user quits, or ctx is done.
func (c *chat) run(ctx context.Context, l *link, first *stay) error {
	ctx, cancel := context.WithCancel(ctx)
	events, done := make(chan any), make(chan struct{})
	go func() { defer close(done); l.run(ctx, first, events) }()
	c.private.running.Go(func() { c.private.run(ctx) })
	defer func() {
		c.private.end(events)
		cancel()
		c.private.running.Wait()
		<-done
	}()
	c.console.say("* you are %s; your fingerprint, for others to compare: %s",
		shownName(c.account.identity.Name()), grouped(c.account.identity.Fingerprint()))
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-c.console.lines:
			if !more || !c.command(ctx, line) {
				return nil
			}
		case event := <-events:
			c.handle(event)
		case event := <-c.private.events:
			c.handle(event)
		}
		if err := c.account.keep(); err != nil {
			c.console.say("! %v", err)
		}
	}
}

// handle takes what the link reports.
func (c *chat) handle(event any) {
	if e, ok := event.(relay.Event); ok && c.private.node.Handle(e) {
		return
	}
	switch e := event.(type) {
	case *stay:
		c.enterRoom(e)
	case lost:
		c.client = nil
		c.private.node.Lost()
		c.console.say("! the relay is gone: %v; trying again in %v", e.err, e.wait)
	case relay.Entered:
		c.enter(e.Member)
	case relay.Left:
		if m := c.room.leave(e.ID); m != nil {
			c.console.say("* %s left", shownName(m.name))
		}
	case relay.Refused:
		c.console.say("! not delivered: the relay says %q", e.Code)
	case relay.Message:
		c.receive(e)
	case heard:
		c.hear(e)
	case told:
		c.arrived(e)
	}
}

func (c *chat) enterRoom(s *stay) {
	c.client = s.client
	c.private.node.Use(s.client, s.joined)
	before := c.room.members
	c.room.members = nil
	c.console.say("* in room %s, %s", shownName(c.room.name), count(len(s.joined.Members), "other member"))
	for _, m := range s.joined.Members {
		c.enter(m)
	}
	c.room.inherit(before)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// enter shows a new member, and what the user can do about it.
func (c *chat) enter(claim relay.Member) {
	m := c.room.enter(claim.ID, claim.Name, claim.Presence)
	if m == nil {
		c.console.say("! more members than a room can have: one is left out")
		return
	}
	err := c.room.check(m)
	name := shownName(m.name)
	switch {
	case m.problem != "":
		c.console.say("! %s is here and cannot be admitted: %s", name, m.problem)
		return
	case err == nil:
		c.console.say("* %s is here, admitted", name)
	case isAlarm(err):
		c.console.say("! ALARM: %s is here with another fingerprint than the one you admitted. Somebody may pose as %s. "+
			"Now: %s. Admitted: %s. Ask %s, and /admit only if the new one is theirs",
			name, name, grouped(m.public.Fingerprint()), knownBefore(err), name)
	case isUnknown(err):
		c.console.say("* %s is here, not admitted: %s. Compare it with what %s reads to you, then /admit %s",
			name, grouped(m.public.Fingerprint()), name, c.shown.handle(m))
	default:
		c.console.say("! %s is here: %s", name, standing(err))
	}
	c.shown.add(m)
}

func knownBefore(err error) string {
	var all []string
	if e, ok := errors.AsType[*trust.Error](err); ok {
		for _, f := range e.Known {
			all = append(all, grouped(f))
		}
	}
	return strings.Join(all, ", ")
}

// receive deals with one message that the relay says is from a member.
func (c *chat) receive(e relay.Message) {
	c.last = e.Payload
	m := c.room.find(e.From)
	if m == nil {
		c.console.say("! dropped a message [foreign]: whom the relay names is not in the room")
		return
	}
	err := c.room.check(m)
	name := shownName(m.name)
	switch {
	case err == nil:
		c.read(m, e.Payload)
	case !isUnknown(err) && !isAlarm(err):
		c.console.say("! dropped a message from %s [identity]: %s", name, standing(err))
	case !c.room.wait(m, e.Payload):
		c.console.say("! dropped a message from %s [waiting]: too many wait until you admit %s", name, name)
	default:
		c.console.say("* %s wrote; %s until you admit %s", name, waits(len(m.waiting)), name)
	}
}

func waits(n int) string {
	if n == 1 {
		return "it waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

// read opens and prints a message of an admitted member.
func (c *chat) read(m *member, sealed []byte) {
	text, err := c.room.open(m, sealed)
	switch {
	case err == nil:
		c.console.say("%s: %s", shownName(m.name), shownText(text))
	case envelope.ReasonOf(err) == envelope.ReasonNotForUs:
		c.console.say("* %s", dropped(m.name, err))
	default:
		c.console.say("! %s", dropped(m.name, err))
	}
}

// command does what a line asks for and reports whether to go on.
func (c *chat) command(ctx context.Context, line string) bool {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case word == "":
	case word == "/quit":
		return false
	case word == "/members":
		c.list()
	case word == "/admit":
		c.admit(strings.TrimSpace(rest))
	case word == "/msg":
		c.message(ctx, strings.TrimSpace(rest))
	case word == "/hop":
		c.hop()
	case word == "/help":
		c.console.say("%s", help)
	case strings.HasPrefix(line, "//"):
		c.send(ctx, line[1:])
	case strings.HasPrefix(word, "/"):
		c.console.say("! there is no command %s; /help lists them", shownText(word))
	default:
		c.send(ctx, line)
	}
	return true
}

const help = `* /members            who is here, with fingerprints
* /admit NAME         seal to them and read them, once you have compared; or the start of the fingerprint
* /msg NAME text      to them alone, once admitted; it says when it has arrived
* /hop                what the relay saw of the last message
* /quit               leave
* //text              write a message that starts with a slash`

func (c *chat) send(ctx context.Context, text string) {
	if c.client == nil {
		c.console.say("! not sent: the relay is gone. Write it again once it is back")
		return
	}
	sealed, readers, err := c.room.seal(text)
	if errors.Is(err, errNobody) {
		c.console.say("! not sent: nobody here is admitted. /members lists who is here, /admit NAME admits")
		return
	}
	if err == nil {
		err = c.client.Publish(ctx, c.room.name, sealed)
	}
	if err != nil {
		c.console.say("! not sent: %v", err)
		return
	}
	c.last = sealed
	c.console.say("* sent, sealed to %s; the relay saw %d bytes, /hop shows them", count(readers, "member"), len(sealed))
}

func (c *chat) list() {
	if len(c.room.members) == 0 {
		c.console.say("* nobody else is here")
	}
	for _, m := range c.room.members {
		fingerprint := ""
		if m.public != nil {
			fingerprint = "  " + grouped(m.public.Fingerprint())
		}
		c.console.say("* %s  %s%s", shownName(m.name), standing(c.room.check(m)), fingerprint)
		c.shown.add(m)
	}
}

func (c *chat) admit(who string) {
	m, err := c.shown.choose(c.room.members, who)
	if err == nil {
		err = c.room.admit(m)
	}
	if err != nil {
		c.console.say("! not admitted: %v", err)
		return
	}
	name := shownName(m.name)
	c.console.say("* %s is admitted: you seal to %s, and read what %s seals to you", name, name, name)
	for _, sealed := range m.waited() {
		c.read(m, sealed)
	}
}

func (c *chat) hop() {
	if c.last == nil {
		c.console.say("* the relay has seen no message yet")
		return
	}
	var b strings.Builder
	printHop(&b, c.room.name, c.last)
	c.console.say("%s", strings.TrimSuffix(b.String(), "\n"))
}

func isAlarm(err error) bool   { return isTrust(err, trust.Changed) }
func isUnknown(err error) bool { return isTrust(err, trust.Unknown) }

func isTrust(err error, reason trust.Reason) bool {
	e, ok := errors.AsType[*trust.Error](err)
	return ok && e.Reason == reason
}
