package engine

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
)

// controlRecord returns the control record that is due.
func controlRecord(t testing.TB, l *Link) []byte {
	t.Helper()
	frame, err := l.Control(epoch, nil)
	if err != nil || frame == nil {
		t.Fatalf("no control record is due: %v", err)
	}
	return frame
}

func openAs(t testing.TB, l *Link, frame []byte, want Event) {
	t.Helper()
	out, event, err := l.Open(epoch, []byte("x"), frame)
	if err != nil || event != want || string(out) != "x" {
		t.Fatalf("opened as %q, %v, %v (%+v); want %v", out, event, err, err, want)
	}
}

// carol is somebody whose identity changes.
func carolAndBob(t testing.TB) (carol *keys.Identity, c, s *Link) {
	t.Helper()
	carol = must(keys.GenerateIdentity("carol"))
	x, y := client(carol), server(bob)
	mustMeet(t, x, y)
	return carol, x.h.Session().Link(), y.h.Session().Link()
}

// An update reaches the other end, which decides in its own time, and the answer comes
// back, while messages go both ways.
func TestUpdateIsOfferedAndAnswered(t *testing.T) {
	carol, c, s := carolAndBob(t)
	if c.Announced() != carol.Public() || s.Announced() != bob.Public() {
		t.Error("the ends do not know what they have told")
	}
	if err := carol.Renew(); err != nil {
		t.Fatal(err)
	}
	for i, lifetime := range []time.Duration{time.Hour, 0} {
		if err := c.Update(carol.Public(), []byte("a token")); err != nil {
			t.Fatal(err)
		}
		if err := c.Update(carol.Public(), nil); err != ErrBlocked {
			t.Errorf("a second update: %v", err)
		}
		if !c.session.Deadline().Equal(longAgo) {
			t.Error("nothing is due")
		}
		if i == 0 && c.Announced() == carol.Public() {
			t.Error("an update counts as told before it is sent")
		}
		openAs(t, s, controlRecord(t, c), Updated)
		if c.Announced() != carol.Public() {
			t.Error("an update does not count as told")
		}
		offer := s.Offer()
		if offer.Peer.Serial() != carol.Public().Serial() || string(offer.Credentials) != "a token" || s.session.Stated() != offer.Peer {
			t.Errorf("%d: offered %d with %q", i, offer.Peer.Serial(), offer.Credentials)
		}
		if i == 0 && s.session.Peer() == offer.Peer {
			t.Error("an offer that nobody has accepted is who the peer is")
		}
		exchange1(t, c, s, []byte("meanwhile"))
		exchange1(t, s, c, []byte("meanwhile"))
		if err := c.Update(carol.Public(), nil); err != ErrBlocked {
			t.Errorf("before the answer: %v", err)
		}
		s.Decided(true, lifetime)
		s.Decided(false, 0) // one answer is enough
		openAs(t, c, controlRecord(t, s), Answered)
		if s.session.Peer().Serial() != offer.Peer.Serial() {
			t.Errorf("%d: accepted, and the peer is still %d", i, s.session.Peer().Serial())
		}
		if accepted, told := c.Answer(); !accepted || told != lifetime {
			t.Errorf("answered %v for %v", accepted, told)
		}
		if offer := s.Offer(); offer.Credentials != nil {
			t.Error("credentials are kept")
		}
	}
	// The other way, and without a decision.
	if err := s.Update(bob.Public(), []byte("ignored")); err != nil {
		t.Fatal(err)
	}
	openAs(t, c, controlRecord(t, s), Updated)
	if offer := c.Offer(); offer.Peer.Fingerprint() != bob.Fingerprint() || offer.Credentials != nil {
		t.Errorf("offered %v", offer)
	}
	c.Decided(false, time.Hour)
	openAs(t, s, controlRecord(t, c), Answered)
	if accepted, lifetime := s.Answer(); accepted || lifetime != 0 {
		t.Errorf("answered %v for %v", accepted, lifetime)
	}
}

// The largest update fits into a frame, whatever the largest message.
func TestLargestUpdateFits(t *testing.T) {
	plain := appendPadded(nil, nil, appendUpdate(nil, make([]byte, keys.MaxPublicSize), make([]byte, MaxCredentials), true))
	if size := recordOverhead + len(plain); size > MaxFrame(1) {
		t.Errorf("an update of %d bytes, over the limit of %d", size, MaxFrame(1))
	}
	_, c, s := carolAndBob(t)
	c.session.maxMessage, s.session.maxMessage = 1, 1
	if err := c.Update(c.Announced(), make([]byte, MaxCredentials+1)); err != ErrCredentials {
		t.Errorf("4097 bytes: %v", err)
	}
	if err := c.Update(c.Announced(), make([]byte, MaxCredentials)); err != nil {
		t.Fatal(err)
	}
	openAs(t, s, controlRecord(t, c), Updated)
	if len(s.Offer().Credentials) != MaxCredentials {
		t.Error("credentials were lost")
	}
}

// A08, A18: nobody becomes somebody else by an update, nor who they were before; and a
// revoked identity is shown to the driver, but never becomes the peer's.
func TestA18UpdateToAnotherIdentityIsRefused(t *testing.T) {
	carol := must(keys.GenerateIdentity("carol"))
	old := carol.Public()
	if err := carol.Renew(); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string][]byte{
		"another root":         mallory.Public().Bytes(),
		"revoked, not by it":   revoked().Bytes(),
		"changed":              flipped(carol.Public().Bytes()),
		"an earlier statement": old.Bytes(),
		"none":                 {},
	} {
		x, y := client(carol), server(bob)
		mustMeet(t, x, y)
		c, s := x.h.Session().Link(), y.h.Session().Link()
		frame := must(c.send.seal(epoch, nil, typeUpdate, appendPadded(nil, nil, appendUpdate(nil, id, nil, true))))
		_, _, err := s.Open(epoch, nil, frame)
		if wantReason(t, err, ErrRecord, ReasonUpdate); s.session.Peer().Serial() != carol.Public().Serial() || s.Offer().Peer != nil {
			t.Errorf("%s was taken", name)
		}
	}
	x, y := client(carol), server(bob)
	mustMeet(t, x, y)
	known := y.h.Session().Peer()
	if err := x.h.Session().Link().Update(must(carol.Revocation()), nil); err != nil {
		t.Fatal(err)
	}
	s := y.h.Session().Link()
	openAs(t, s, controlRecord(t, x.h.Session().Link()), Updated)
	if offer := s.Offer(); !offer.Peer.Revoked() || s.session.Peer() != known {
		t.Errorf("offered %v, the peer is %v", offer.Peer, s.session.Peer())
	}
}

// A resume shows a revoked identity to the driver too, and cannot be accepted with it.
func TestA50ResumeOfRevokedIdentityCannotBeAccepted(t *testing.T) {
	carol, c, s := carolAndBob(t)
	link := s
	cfg := configFor(carol)
	cfg.Identity = must(carol.Revocation())
	x, y := &reviver{Resume: must(NewResume(cfg, c.session, epoch))}, reviverOf(t, s.session)
	shown := false
	y.asked = func() { shown = y.Peer().Revoked() }
	_, sErr := revive(t, x, y, honest)
	if wantReason(t, sErr, ErrResume, ReasonIdentity); !shown || s.session.Link() != link {
		t.Errorf("shown: %v", shown)
	}
}

// What is not one of the forms, or not due, is the end of the link, and the peer's fault.
func TestBadUpdatesAreRefused(t *testing.T) {
	id := alice.Public().Bytes()
	fields := func(b ...byte) []byte { return appendPadded(nil, b, nil) }
	body := func(b []byte) []byte { return appendPadded(nil, nil, b) }
	for name, test := range map[string]struct {
		kind  byte
		plain []byte
		want  Reason
		sent  bool // the other end has an update out
	}{
		"a server's form":        {typeUpdate, body(appendUpdate(nil, id, nil, false)), ReasonUpdate, false},
		"4097 bytes":             {typeUpdate, body(appendUpdate(nil, id, make([]byte, MaxCredentials+1), true)), ReasonUpdate, false},
		"too much":               {typeUpdate, body(make([]byte, MaxHandshakeFrame+1)), ReasonUpdate, false},
		"a value more":           {typeUpdate, body(append(appendUpdate(nil, id, nil, true), 0xc0)), ReasonUpdate, false},
		"nothing":                {typeUpdate, body(nil), ReasonUpdate, false},
		"an answer to nothing":   {typeUpdateAnswer, fields(0, 0, 0, 0, 0), ReasonUpdate, false},
		"a refusal":              {typeUpdateAnswer, fields(1, 0, 0, 0, 0), ReasonUpdate, true},
		"an unknown code":        {typeUpdateAnswer, fields(3, 0, 0, 0, 0), ReasonUpdate, true},
		"a client that grants":   {typeUpdateAnswer, fields(0, 0, 0, 0, 1), ReasonUpdate, true},
		"undecided for a second": {typeUpdateAnswer, fields(2, 0, 0, 3, 0), ReasonUpdate, true},
		"an answer with data":    {typeUpdateAnswer, appendPadded(nil, make([]byte, 5), []byte{1}), ReasonEncoding, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := pair(t)
			if test.sent {
				if err := s.Update(bob.Public(), nil); err != nil {
					t.Fatal(err)
				}
				openAs(t, c, controlRecord(t, s), Updated)
			}
			frame := must(c.send.seal(epoch, nil, test.kind, test.plain))
			_, _, err := s.Open(epoch, nil, frame)
			wantReason(t, err, ErrRecord, test.want)
		})
	}
	t.Run("twice", func(t *testing.T) {
		c, s := pair(t)
		for i, want := range []error{nil, ErrRecord} {
			frame := must(c.send.seal(epoch, nil, typeUpdate, body(appendUpdate(nil, id, nil, true))))
			if _, _, err := s.Open(epoch, nil, frame); !errors.Is(err, want) {
				t.Errorf("update %d: %v", i+1, err)
			}
		}
	})
	t.Run("an answer before the question", func(t *testing.T) {
		c, s := pair(t)
		s.Update(bob.Public(), nil) // due, not sent
		_, _, err := s.Open(epoch, nil, must(c.send.seal(epoch, nil, typeUpdateAnswer, fields(0, 0, 0, 0, 0))))
		wantReason(t, err, ErrRecord, ReasonUpdate)
	})
}

// A15: no bit of an update can be changed.
func TestA15EveryBitOfAnUpdateCounts(t *testing.T) {
	c, s := pair(t)
	c.Update(alice.Public(), []byte("a token"))
	frame := controlRecord(t, c)
	step := 1
	if slowtest.Mode {
		step = 37
	}
	for bit := 0; bit < 8*len(frame); bit += step {
		changed := bytes.Clone(frame)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, _, err := clone(s).Open(epoch, nil, changed); !errors.Is(err, ErrRecord) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	openAs(t, s, frame, Updated)
}

// A resume carries what an update would, so what was under way is dropped with its link:
// its answer counts no more, and another may be sent.
func TestResumeTakesThePlaceOfAnUpdate(t *testing.T) {
	carol, c, s := carolAndBob(t)
	c.Update(carol.Public(), []byte("old"))
	openAs(t, s, controlRecord(t, c), Updated)
	cfg := configFor(carol)
	x, y := &reviver{Resume: must(NewResume(cfg, c.session, epoch))}, reviverOf(t, s.session)
	x.Present([]byte("new"))
	if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	s.Decided(true, time.Hour)
	if frame, err := s.Control(epoch, nil); frame != nil || err != nil {
		t.Errorf("an answer on the old link: %v", err)
	}
	if err := c.Update(carol.Public(), nil); err != ErrClosed {
		t.Errorf("an update on the old link: %v", err)
	}
	a, b := x.Link(), y.Link()
	greet(t, a, b)
	if a.Announced() != carol.Public() || b.Announced() != bob.Public() {
		t.Error("what a resume tells does not count as told")
	}
	if err := a.Update(carol.Public(), nil); err != nil {
		t.Errorf("an update on the new link: %v", err)
	}
	openAs(t, b, controlRecord(t, a), Updated)
}

// A resume that was begun before an update on the old link does not bring the older
// identity back.
func TestA18ResumeDoesNotUndoAnUpdate(t *testing.T) {
	carol, c, s := carolAndBob(t)
	cfg := configFor(carol)
	if err := carol.Renew(); err != nil {
		t.Fatal(err)
	}
	// What an honest client does not do: it resumes, with the older identity, and goes on
	// on its old link.
	x, y := &reviver{Resume: must(NewResume(cfg, c.session, epoch))}, reviverOf(t, s.session)
	update := must(c.send.seal(epoch, nil, typeUpdate, appendPadded(nil, nil, appendUpdate(nil, carol.Public().Bytes(), nil, true))))
	y.asked = func() { openAs(t, s, update, Updated) }
	if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	if got := s.session.Stated().Serial(); got != carol.Public().Serial() {
		t.Errorf("what the peer has stated is back at %d", got)
	}
}

func FuzzA32ParseUpdate(f *testing.F) {
	f.Add(appendUpdate(nil, []byte("id"), []byte("a token"), true), true)
	f.Add(appendUpdate(nil, []byte("id"), nil, false), false)
	f.Fuzz(func(t *testing.T, data []byte, fromClient bool) {
		identity, credentials, ok := parseUpdate(data, fromClient)
		if ok && !bytes.Equal(appendUpdate(nil, identity, credentials, fromClient), data) {
			t.Error("a second encoding was accepted")
		}
		if ok && (len(credentials) > MaxCredentials || len(identity) > keys.MaxPublicSize) {
			t.Error("too much was accepted")
		}
	})
}
