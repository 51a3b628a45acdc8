package engine

import "testing"

// until runs an attempt up to the server's decision.
func until(t *testing.T, c, s *Session) (client, server *reviver, decide func() ([]byte, error)) {
	t.Helper()
	client, server = reviverOf(t, c), reviverOf(t, s)
	if _, err := server.start(); err != nil {
		t.Fatal(err)
	}
	r1 := must(client.start())
	r3 := must(client.receive(must(server.receive(r1))))
	if step, err := server.Receive(epoch, r3); err != nil || step.Next != Decide {
		t.Fatal(step.Next, err)
	}
	return client, server, func() ([]byte, error) { return server.settle(Step{Next: Decide}, nil) }
}

// A53: an r3 that was held back until a later attempt had resumed, and messages had been
// acknowledged, is no sign of a session that was rolled back: it does not count, and
// nothing in it is looked at.
func TestA53AttemptThatWasOvertakenSaysNothing(t *testing.T) {
	a, b := bounded(t)
	c, s := a.session, b.session
	_, late, decide := until(t, c, s)
	x, y := reviverOf(t, c), reviverOf(t, s)
	if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	greet(t, x.Link(), y.Link())
	mustOpen(t, x.Link(), seal(t, y.Link(), "acknowledged"))
	pass(t, epoch.Add(ackDelay), x.Link(), y.Link())
	if s.Acked() != 1 {
		t.Fatal("nothing is acknowledged")
	}
	if late.Committable() {
		t.Error("the attempt still counts")
	}
	_, err := decide()
	wantReason(t, err, ErrResume, ReasonCipher)
	exchange1(t, x.Link(), y.Link(), []byte("goes on"))
}

// A53: who refuses a client for good closes the session to every other attempt in the same
// step, and only if the attempt that was refused counts.
func TestA53CondemnedByAnAttemptThatCounts(t *testing.T) {
	a, b := bounded(t)
	c, s := a.session, b.session
	_, overtaken, _ := until(t, c, s)
	_, second, commit := until(t, c, s)
	if r4 := must(commit()); r4 == nil || second.Link() == nil {
		t.Fatal("not committed")
	}
	if _, counted := overtaken.Condemn(CodeRefused); counted || s.secret == nil {
		t.Error("an attempt that was overtaken has ended the session")
	}
	_, third, _ := until(t, c, s)
	_, fourth, commit := until(t, c, s)
	step, counted := third.Condemn(CodeRefused)
	if !counted || step.Frame == nil || s.Link() != nil {
		t.Error("an attempt that counts was refused, and the session goes on")
	}
	if fourth.Committable() {
		t.Error("another attempt still counts")
	}
	if _, err := commit(); err == nil {
		t.Error("another attempt was committed")
	}
}

// A53: an attempt that counts and cannot be true ends the session in one step: no other one is
// committed between what is found out and its consequence.
func TestA53RolledBackByAnAttemptThatCounts(t *testing.T) {
	a, b := bounded(t)
	c, s := a.session, b.session
	_, _, decide := until(t, c, s)
	_, other, commit := until(t, c, s)
	s.out.acked, s.out.last = 7, 7 // of which the client, who was restored, has nothing
	_, err := decide()
	wantReason(t, err, ErrResume, ReasonAck)
	if other.Committable() {
		t.Error("another attempt still counts")
	}
	s.out.acked, s.out.last = 0, 0
	if _, err := commit(); err == nil {
		t.Error("another attempt was committed")
	}
}

// A53: a decision about an update is one about its link.
func TestA53DecisionCountsOnItsLink(t *testing.T) {
	carol, c, s := carolAndBob(t)
	before := s.session.Peer()
	if err := carol.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(carol.Public(), nil); err != nil {
		t.Fatal(err)
	}
	openAs(t, s, controlRecord(t, c), Updated)
	x := &reviver{Resume: must(NewResume(configFor(carol), c.session, epoch))}
	y := reviverOf(t, s.session)
	y.asked = func() {
		if s.session.Peer() != before {
			t.Error("what was offered is who the peer is")
		}
	}
	if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	if s.Condemn() || s.session.secret == nil {
		t.Error("a link that counts no more has condemned the session")
	}
	s.session.peer = before
	if s.Decided(true, 0); s.session.Peer() != before {
		t.Error("a decision on the old link counts")
	}
	if !y.Link().Condemn() || s.session.secret != nil {
		t.Error("the link that counts has not condemned the session")
	}
}
