package engine

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// runHandshake has both ends do the handshake, and returns the error of the last frame.
func (v *vector) runHandshake(t *testing.T) error {
	t.Helper()
	c := &end{h: must(NewClient(v.config(v.Client), epoch)), sign: v.Client.sign, now: epoch}
	s := &end{h: must(NewServer(v.config(v.Server), epoch)), sign: v.Server.sign, now: epoch}
	c.h.Bind(v.Client.Binding)
	s.h.Bind(v.Server.Binding)
	if o := v.Opened; o != nil {
		if err := c.h.Present(o.Credentials); err != nil {
			t.Fatal(err)
		}
		s.deny = Code(o.Code)
		s.h.Grant(fromMillis(o.Lifetime))
	}
	if _, err := s.start(); err != nil {
		t.Fatal(err)
	}
	first, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	server := func(frame []byte) ([]byte, error) {
		answer, err := s.receive(frame)
		if errors.As(err, new(*SpeechError)) { // which the client is told
			return answer, nil
		}
		return answer, err
	}
	switch err := v.pass(t, c.receive, server, first); {
	case errors.As(err, new(*SpeechError)) && v.opens() && Code(v.Opened.Code) == codeSpeech:
		return nil
	case errors.As(err, new(*SpeechError)):
		return errors.New("another protocol")
	case err == nil && v.Opened != nil && c.h.Session() != nil:
		v.checkTerms(t, c.h.Hop(), c.h.Lifetime())
		v.checkSession(t, c.h.Session(), s.h.Session())
		return nil
	case err != nil && v.opens() && errors.Is(err, Code(v.Opened.Code).err()):
		return nil // as the server has said
	default:
		return err
	}
}

func (v *vector) checkTerms(t *testing.T, hop Hop, lifetime time.Duration) {
	t.Helper()
	if hop != Hop(v.Opened.Hop) || lifetime != fromMillis(v.Opened.Lifetime) {
		t.Errorf("hop %v, lifetime %v", hop, lifetime)
	}
}

func (v *vector) checkSession(t *testing.T, c, s *Session) {
	t.Helper()
	v.wantSecret(t, "id", c.id[:])
	v.wantSecret(t, "resume secret", c.secret.value[:])
	v.wantSecret(t, "rekey secret", c.Link().rekey.secret[:])
	v.checkChains(t, c.Link(), "client traffic", "server traffic")
	if c.id != s.id || c.secret.value != s.secret.value || c.Link().rekey.secret != s.Link().rekey.secret {
		t.Error("the ends have different secrets")
	}
}

// checkChains holds the first keys of a link against the chains that they come from.
func (v *vector) checkChains(t *testing.T, c *Link, mine, theirs string) {
	t.Helper()
	for name, d := range map[string]*direction{mine: &c.send, theirs: &c.recv} {
		if want := newDirection(v.Secrets[name], nil); v.Secrets[name] == nil || d.chain != want.chain {
			t.Errorf("%s is not what the link began with", name)
		}
	}
}

// established returns both ends of a session, as they know each other.
func (v *vector) established(t *testing.T) (c, s *Session) {
	t.Helper()
	client, server := clientEnd(), serverEnd()
	if v.Client != nil && v.Client.Identity != nil {
		client.Identity, server.Identity = v.Client.Identity, v.Server.Identity
	}
	one := func(me, other *vectorEnd, isClient bool) *Session {
		cfg := must((&vector{Protocol: "test/1"}).config(me).withDefaults())
		return newSession(newSchedule(testSecret("h")), isClient, must(keys.ParsePublic(other.Identity)), cfg, epoch)
	}
	return one(client, server, true), one(server, client, false)
}

// runResume has both ends of a session resume it.
func (v *vector) runResume(t *testing.T) error {
	t.Helper()
	a, b := v.established(t)
	o := v.Opened
	for _, s := range []*Session{a, b} {
		s.secret = &secret{}
		copy(s.secret.value[:], v.Secret)
	}
	a.secret.attempts = *o.Attempt - 1
	hasSent(b, a, progress{*o.ClientReceived, *o.ClientArrived})
	hasSent(a, b, progress{*o.ServerReceived, *o.ServerArrived})
	c := &reviver{Resume: must(NewResume(v.config(v.Client.now()), a, epoch))}
	s := &reviver{Resume: must(AnswerResume(v.config(v.Server.now()), b, epoch)), deny: Code(o.Code)}
	c.Bind(v.Client.Binding)
	s.Bind(v.Server.Binding)
	s.Grant(fromMillis(o.Lifetime))
	if err := c.Present(o.Credentials); err != nil {
		t.Fatal(err)
	}
	if _, err := s.start(); err != nil {
		t.Fatal(err)
	}
	first, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	switch err := v.pass(t, c.receive, s.receive, first); {
	case err == nil && c.Link() != nil:
		v.checkTerms(t, c.Hop(), c.Lifetime())
		v.wantSecret(t, "resume next secret", a.secret.value[:])
		v.wantSecret(t, "resume rekey secret", c.Link().rekey.secret[:])
		v.checkChains(t, c.Link(), "resume client traffic", "resume server traffic")
		return nil
	case err != nil && v.opens() && errors.Is(err, Code(o.Code).err()):
		return nil
	default:
		return err
	}
}

// hasSent makes one end one that has sent empty messages, and perhaps a long one, and the other
// one that has got so far.
func hasSent(from, to *Session, p progress) {
	to.in.received, to.in.cost = p.received, p.received*minBucket
	o := &from.out
	o.last, o.acked, o.cursor, o.cost, o.ackedCost, o.maxSealed = p.received, p.received, p.received, to.in.cost, to.in.cost, to.in.cost
	if within := p.arrived - to.in.cost; within > 0 {
		o.append(nil, long)
		o.maxSealed = o.cost
		to.in.partial = partial{size: len(long), got: int(within) - lengthSize, left: Cost(len(long)) - int(within)}
	}
}

// runRefusal has a client come back to a server that does not know its session.
func (v *vector) runRefusal(t *testing.T) error {
	t.Helper()
	a, _ := v.established(t)
	copy(a.secret.value[:], v.Secret)
	c := &reviver{Resume: must(NewResume(v.config(v.Client.now()), a, epoch))}
	first, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	server := func(r1 []byte) ([]byte, error) {
		r, err := NewRefusal(v.config(v.Server.now()), r1)
		if err != nil {
			return nil, err
		}
		return r.Frame(v.Server.sign(r.ToSign()))
	}
	switch err := v.pass(t, c.receive, server, first); {
	case err == nil:
		return errors.New("the client goes on")
	case v.opens() && errors.Is(err, ErrUnknownSession):
		return nil
	default:
		return err
	}
}

// runRekey has the two ends of a link exchange the fields of request and answer.
func (v *vector) runRekey(t *testing.T) error {
	t.Helper()
	a, b := v.established(t)
	c, s := a.Link(), b.Link()
	for _, l := range []*Link{c, s} {
		copy(l.session.id[:], v.Session)
		l.send, l.recv = newDirection(l.send.chain[:], v.Link), newDirection(l.recv.chain[:], v.Link)
		copy(l.rekey.secret[:], v.Secret)
	}
	a.random, b.random = v.Client.random(), v.Server.random()
	c.rekey.step = rekeyAsked
	first, err := c.request()
	if err != nil {
		t.Fatal(err)
	}
	server := func(fields []byte) ([]byte, error) {
		if len(fields) != rekeyRequestSize {
			return nil, &Error{ReasonEncoding, ErrRecord} // as Open says
		}
		if _, err := s.takeRequest(epoch, fields); err != nil {
			return nil, err
		}
		return s.answer()
	}
	client := func(fields []byte) ([]byte, error) {
		if len(fields) != rekeyAnswerSize {
			return nil, &Error{ReasonEncoding, ErrRecord}
		}
		_, err := c.takeAnswer(epoch, fields)
		return nil, err
	}
	if err := v.pass(t, client, server, first); err != nil || !v.opens() {
		return err
	}
	v.wantSecret(t, "rekey client traffic", c.rekey.send.chain)
	v.wantSecret(t, "rekey server traffic", c.rekey.recv.chain)
	v.wantSecret(t, "rekey link id", c.rekey.send.id)
	v.wantSecret(t, "rekey next secret", c.rekey.secret[:])
	v.wantSecret(t, "rekey resume secret", a.secret.value[:])
	if s.rekey.secret != c.rekey.secret || b.next.value != a.secret.value {
		t.Error("the ends have different secrets")
	}
	return nil
}

// reader is the end to which records come: a server's, unless the vector names a server as
// their sender.
func (v *vector) reader(t *testing.T) *Session {
	t.Helper()
	alone := *v
	alone.Client, alone.Server = clientEnd(), serverEnd()
	if v.Client != nil {
		alone.Client.Identity = v.Client.Identity
	}
	if v.Server != nil {
		alone.Server.Identity = v.Server.Identity
	}
	client, server := alone.established(t)
	if v.Server != nil {
		return client
	}
	return server
}

// runRecords opens records at one end of a link.
func (v *vector) runRecords(t *testing.T) error {
	t.Helper()
	session := v.reader(t)
	l := session.Link()
	l.update.unanswered, session.in.received = v.Updating, v.Received
	l.recv = newDirection(v.Chain, v.Link)
	l.recv.linkBegan, l.recv.epoch = epoch, byte(v.Epoch)<<6
	l.recv.number, l.recv.records, l.recv.bytes = v.Number, int(v.Number%generationRecords), v.Bytes
	records := v.Records
	var pieces []byte
	for i, frame := range v.Frames {
		data, event, err := l.Open(epoch, nil, frame)
		if err != nil {
			if i != len(v.Frames)-1 {
				t.Fatalf("record %d: %v (%+v)", i, err, err)
			}
			if err == ErrClosed {
				return errors.New("closed")
			}
			return err
		}
		if event == Part {
			pieces = append(pieces, data...)
			continue
		}
		if event == Message {
			data, pieces = append(pieces, data...), nil
		}
		if len(records) == 0 {
			t.Fatalf("record %d: %v, and no more are told", i, event)
		}
		if event == Updated {
			data = appendUpdate(nil, l.Offer().Peer.Bytes(), l.Offer().Credentials, !session.client)
		}
		if want := records[0]; event != eventOf[want.Type] || !bytes.Equal(data, want.Data) {
			t.Errorf("record %d: %v, %.40x, want %d, %.40x", i, event, data, want.Type, []byte(want.Data))
		}
		if event == PeerClose && l.PeerMissing() != records[0].Missing {
			t.Errorf("%d messages are missing, want %d", l.PeerMissing(), records[0].Missing)
		}
		records = records[1:]
	}
	if len(records) > 0 {
		t.Errorf("%d records were not opened", len(records))
	}
	return nil
}

var eventOf = map[byte]Event{typeData: Message, typeClose: PeerClose, typeAck: Acked, typeAsk: Asked, typeUpdate: Updated, typeUpdateAnswer: Answered}
