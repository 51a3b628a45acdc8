package engine

import (
	"testing"
	"time"
)

// What has gone each way is counted once, whatever else goes with it.
func TestStatsCountMessages(t *testing.T) {
	c, s := bounded(t)
	for _, size := range []int{0, 1, 100, 5000} {
		exchange1(t, c, s, make([]byte, size))
	}
	exchange1(t, s, c, []byte("four"))
	a, b := c.session.Stats(), s.session.Stats()
	if a.Sent != 4 || a.SentBytes != 5101 || a.Received != 1 || a.ReceivedBytes != 4 || a.Unacked != 4 {
		t.Errorf("client: %+v", a)
	}
	if b.Sent != 1 || b.SentBytes != 4 || b.Received != 4 || b.ReceivedBytes != 5101 {
		t.Errorf("server: %+v", b)
	}
	pass(t, epoch.Add(ackDelay), s, c)
	if a = c.session.Stats(); a.Unacked != 0 {
		t.Errorf("%d unacked", a.Unacked)
	}
	c.session.Forget()
	if after := c.session.Stats(); after != a {
		t.Errorf("forgotten: %+v, was %+v", after, a)
	}
}

// What goes again over another link is counted as that, and not as sent once more.
func TestStatsCountWhatIsSentAgain(t *testing.T) {
	c, s := sessions(t)
	exchange1(t, c.Link(), s.Link(), []byte("arrives"))
	for range 3 {
		must(c.Link().Seal(epoch, nil, nil, []byte("is lost")))
	}
	a, b := mustRevive(t, c, s)
	greet(t, a, b)
	for frame := must(a.Next(epoch, nil)); len(frame) > 0; frame = must(a.Next(epoch, nil)) {
		mustOpen(t, b, frame)
	}
	if got := c.Stats(); got.Sent != 4 || got.SentBytes != 28 || got.Resent != 3 || got.Resumes != 1 {
		t.Errorf("client: %+v", got)
	}
	if got := s.Stats(); got.Received != 4 || got.ReceivedBytes != 28 || got.Resent != 0 || got.Resumes != 1 {
		t.Errorf("server: %+v", got)
	}
}

// What was refused is not counted as received.
func TestStatsLeaveRefusedMessagesOut(t *testing.T) {
	c, s := bounded(t)
	s.session.in.granted = 0
	frame := must(c.Seal(epoch, nil, nil, []byte("beyond the credit")))
	if _, _, err := s.Open(epoch, nil, frame); err == nil {
		t.Fatal("opened")
	}
	if got := s.session.Stats(); got.Received != 0 || got.ReceivedBytes != 0 {
		t.Errorf("%+v", got)
	}
}

// roundTrips returns how many there are in each bucket.
func (s *Session) roundTrips() (n uint64, sum time.Duration) {
	h := s.Stats().RoundTrip
	for _, count := range h.Counts {
		n += count
	}
	return n, h.Sum
}

func TestRoundTripIsFromAskToAnswer(t *testing.T) {
	c, s := bounded(t)
	exchange1(t, c, s, []byte("hello"))
	c.session.Ask()
	sent, answered := epoch.Add(time.Microsecond), epoch.Add(30*time.Millisecond)
	pass(t, sent, c, s)
	frame := must(s.Control(answered, nil))
	if _, event, err := c.Open(answered, nil, frame); event != Acked || err != nil {
		t.Fatal(event, err)
	}
	if n, sum := c.session.roundTrips(); n != 1 || sum != answered.Sub(sent) {
		t.Errorf("%d round trips in %v", n, sum)
	}
	if n, _ := s.session.roundTrips(); n != 0 {
		t.Errorf("%d round trips of an end that asked nothing", n)
	}
}

// An ack that was under way before the ask arrived is not its answer, and would make
// the way look short.
func TestRoundTripIsNotThatOfAnotherAck(t *testing.T) {
	c, s := bounded(t)
	exchange1(t, c, s, []byte("hello"))
	late := epoch.Add(ackDelay)
	ack := must(s.Control(late, nil)) // by itself
	c.session.Ask()
	ask := must(c.Control(late, nil)) // crosses it
	mustOpen(t, c, ack)
	mustOpen(t, s, ask)
	pass(t, late.Add(time.Second), s, c)
	if n, sum := c.session.roundTrips(); n != 0 {
		t.Errorf("%d round trips in %v", n, sum)
	}
	// One for an earlier message does not count either.
	exchange1(t, c, s, []byte("second"))
	ack = must(s.Control(epoch.Add(2*ackDelay), nil))
	must(c.Seal(epoch, nil, nil, []byte("third")))
	c.session.Ask()
	must(c.Control(epoch, nil))
	mustOpen(t, c, ack)
	if n, _ := c.session.roundTrips(); n != 0 {
		t.Errorf("%d round trips", n)
	}
}

// Nor is one timed whose answer has to wait for the rest of a message.
func TestRoundTripIsNotThatOfAMessage(t *testing.T) {
	c, s := living(t)
	begun := epoch.Add(DefaultKeepAlive)
	mustOpen(t, s, must(c.Seal(begun, nil, nil, make([]byte, 2*pieceSize))))
	if pass(t, begun, c, s) != 1 {
		t.Fatal("no ask")
	}
	for frame := must(c.Next(begun, nil)); len(frame) > 0; frame = must(c.Next(begun, nil)) {
		mustOpen(t, s, frame)
	}
	pass(t, begun.Add(10*time.Second), s, c)
	if c.session.Acked() != 1 {
		t.Fatal("no ack")
	}
	if n, sum := c.session.roundTrips(); n != 0 {
		t.Errorf("%d round trips in %v", n, sum)
	}
}

// An ask that was lost with its link is not timed on the next.
func TestRoundTripEndsWithItsLink(t *testing.T) {
	c, s := sessions(t)
	c.Ask()
	must(c.Link().Seal(epoch, nil, nil, nil))
	c.Ask()
	if len(must(c.Link().Control(epoch, nil))) == 0 {
		t.Fatal("no ask")
	}
	a, b := mustRevive(t, c, s)
	greet(t, a, b)
	if n, _ := c.roundTrips(); n != 0 {
		t.Errorf("%d round trips", n)
	}
}

func TestHistogramHasOneBucketForEachTime(t *testing.T) {
	for i, bound := range Bounds {
		if i > 0 && bound <= Bounds[i-1] {
			t.Errorf("bound %d is not above the one before", i)
		}
		var h Histogram
		h.observe(bound)
		h.observe(bound + 1)
		if h.Counts[i] != 1 || h.Counts[i+1] != 1 || h.Sum != 2*bound+1 {
			t.Errorf("%v: %+v", bound, h)
		}
	}
}
