package engine

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
)

// sessions returns both ends of a session whose bounds are in force.
func sessions(t testing.TB) (c, s *Session) {
	t.Helper()
	a, b := bounded(t)
	return a.session, b.session
}

// A reviver drives one end of a resume as a program would.
type reviver struct {
	*Resume
	deny  Code
	asked func()               // when it has to decide
	load  func() (Step, error) // when it has to load
	slow  bool                 // it decides when settle is called
	due   bool                 // that is now
}

func (r *reviver) settle(step Step, err error) ([]byte, error) {
	for err == nil && (step.Next == Decide || step.Next == Load) {
		if step.Next == Load {
			step, err = r.load()
			continue
		}
		if r.slow && !r.due {
			r.due = true
			return step.Frame, nil
		}
		r.due = false
		if r.asked != nil {
			r.asked()
		}
		if r.deny != codeAccepted {
			step, err = r.Refuse(r.deny)
		} else {
			step, err = r.Accept(epoch)
		}
	}
	return step.Frame, err
}

func (r *reviver) start() ([]byte, error)               { return r.settle(r.Start(epoch)) }
func (r *reviver) receive(frame []byte) ([]byte, error) { return r.settle(r.Receive(epoch, frame)) }

func reviverOf(t testing.TB, s *Session) *reviver {
	t.Helper()
	me, begin := alice, NewResume
	if !s.client {
		me, begin = bob, AnswerResume
	}
	r, err := begin(configFor(me), s, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return &reviver{Resume: r}
}

// revive runs one attempt. The hop sees r1 to r4; nil means that a frame is lost,
// and the attempt with it.
func revive(t testing.TB, c, s *reviver, via hop) (clientErr, serverErr error) {
	t.Helper()
	if _, serverErr = s.start(); serverErr != nil {
		return nil, serverErr
	}
	frame, clientErr := c.start()
	for n := 1; clientErr == nil && frame != nil; n += 2 {
		if frame = via(n, frame); frame == nil {
			return nil, nil
		}
		if frame, serverErr = s.receive(frame); serverErr != nil || frame == nil {
			return nil, serverErr
		}
		if frame = via(n+1, frame); frame == nil {
			return nil, nil
		}
		frame, clientErr = c.receive(frame)
	}
	return clientErr, nil
}

func mustRevive(t testing.TB, c, s *Session) (client, server *Link) {
	t.Helper()
	x, y := reviverOf(t, c), reviverOf(t, s)
	if cErr, sErr := revive(t, x, y, honest); cErr != nil || sErr != nil || x.Link() == nil || y.Link() == nil {
		t.Fatalf("resume: client %v (%+v), server %v (%+v)", cErr, cErr, sErr, sErr)
	}
	return x.Link(), y.Link()
}

// greet passes the acks with which both ends begin.
func greet(t testing.TB, c, s *Link) {
	t.Helper()
	if a, b := pass(t, epoch, c, s), pass(t, epoch, s, c); a != 1 || b != 1 {
		t.Fatalf("%d and %d control records at the beginning of a link", a, b)
	}
}

// drain sends again what one end has, and returns what the other got.
func drain(t testing.TB, from, to *Link) (got []string) {
	t.Helper()
	var message []byte
	for {
		frame, err := from.Next(epoch, nil)
		if err != nil {
			t.Fatal(err)
		}
		if frame == nil {
			return got
		}
		var event Event
		message, event, err = to.Open(epoch, message, frame)
		if err != nil || event != Message && event != Part {
			t.Fatalf("sent again: %v, %v", event, err)
		}
		if event == Message {
			got, message = append(got, string(message)), nil
		}
	}
}

// What was sent and not received is sent again, and nothing else is.
func TestResumeSendsAgainWhatIsMissing(t *testing.T) {
	c, s := sessions(t)
	a, b := c.Link(), s.Link()
	for i := range 10 {
		frame := seal(t, a, fmt.Sprint("to server ", i))
		if i < 4 {
			mustOpen(t, b, frame)
		}
	}
	for i := range 3 {
		seal(t, b, fmt.Sprint("to client ", i)) // all lost
	}
	id := c.ID()
	a, b = mustRevive(t, c, s)
	if _, err := a.Seal(epoch, nil, nil, []byte("in between")); !errors.Is(err, ErrBlocked) {
		t.Fatalf("a new message before those sent again: %v", err)
	}
	greet(t, a, b)
	if c.Acked() != 4 || s.Acked() != 0 {
		t.Errorf("acknowledged: %d and %d", c.Acked(), s.Acked())
	}
	if got, want := fmt.Sprint(drain(t, a, b)), "[to server 4 to server 5 to server 6 to server 7 to server 8 to server 9]"; got != want {
		t.Errorf("the server got %s", got)
	}
	if got, want := fmt.Sprint(drain(t, b, a)), "[to client 0 to client 1 to client 2]"; got != want {
		t.Errorf("the client got %s", got)
	}
	exchange1(t, a, b, []byte("new"))
	exchange1(t, b, a, []byte("new"))
	if c.ID() != id || s.ID() != id || c.in.received != s.Sent() || s.in.received != c.Sent() {
		t.Error("the session is not what it was")
	}
	if first, left := c.Unacked(); first != 5 || len(left) != 7 || string(left[0]) != "to server 4" {
		t.Errorf("not known to have arrived: %d messages from %d on", len(left), first)
	}
}

// A lost message at any step harms nothing, nor does any sequence of such losses:
// the next attempt works, whatever each end believes.
func TestResumeSurvivesLossAtEveryStep(t *testing.T) {
	losses := [][]int{{1}, {2}, {3}, {4}, {4, 4}, {4, 4, 4}, {3, 4}, {4, 3}, {1, 4, 2, 3, 4}, {5}, {5, 4}, {4, 5, 4}, {5, 5, 5}}
	for _, sequence := range losses {
		t.Run(fmt.Sprint(sequence), func(t *testing.T) {
			c, s := sessions(t)
			mustOpen(t, s.Link(), seal(t, c.Link(), "before"))
			seal(t, c.Link(), "lost")
			seal(t, s.Link(), "lost too")
			for _, n := range sequence { // 5: the client's first record is lost
				lose := func(i int, frame []byte) []byte {
					if i == n {
						return nil
					}
					return frame
				}
				if cErr, sErr := revive(t, reviverOf(t, c), reviverOf(t, s), lose); cErr != nil || sErr != nil {
					t.Fatalf("losing r%d: %v, %v", n, cErr, sErr)
				}
			}
			a, b := mustRevive(t, c, s)
			greet(t, a, b)
			if got := fmt.Sprint(drain(t, a, b), drain(t, b, a)); got != "[lost] [lost too]" {
				t.Errorf("sent again: %s", got)
			}
			if len(s.ResumeIDs()) != 1 || c.ResumeIDs()[0] != s.ResumeIDs()[0] {
				t.Error("the ends do not share one secret in the end")
			}
		})
	}
}

// A18, A17: a recording of a client's resume gets nothing from a server: no link,
// no word about the session, and later the refusal.
func TestA18ReplayedResumeChangesNothing(t *testing.T) {
	c, s := sessions(t)
	var recorded [][]byte
	tap := func(_ int, frame []byte) []byte { recorded = append(recorded, bytes.Clone(frame)); return frame }
	x, y := reviverOf(t, c), reviverOf(t, s)
	if cErr, sErr := revive(t, x, y, tap); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	replay := func(frames ...[]byte) error {
		r := reviverOf(t, s)
		r.start()
		for _, frame := range frames {
			if _, err := r.receive(frame); err != nil {
				return err
			}
		}
		return nil
	}
	// The secret is still good, since nobody knows that the client has the next.
	link, ids := s.Link(), s.ResumeIDs()
	if err := replay(recorded[0]); err != nil {
		t.Errorf("r1 while its secret is good: %v", err)
	}
	wantReason(t, replay(recorded[0], recorded[2]), ErrResume, ReasonCipher)
	if s.Link() != link || len(s.ResumeIDs()) != 2 || s.ResumeIDs()[0] != ids[0] {
		t.Error("a replay changed the session")
	}
	greet(t, x.Link(), y.Link())
	wantReason(t, replay(recorded[0]), ErrResume, ReasonCipher)
	exchange1(t, x.Link(), y.Link(), []byte("unharmed"))
}

// A hop that holds a client's hello back and delivers it later cannot undo a resume
// that was done meanwhile, nor one that is about to be.
func TestHeldBackHelloIsOvertaken(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		c, s := sessions(t)
		x, y := reviverOf(t, c), reviverOf(t, s)
		y.start()
		second, _ := y.receive(must(x.start()))
		hello := must(x.receive(second)) // held back; the client gives up and tries again
		a, b := mustRevive(t, c, s)
		if confirmed {
			greet(t, a, b)
		}
		_, err := y.receive(hello)
		wantReason(t, err, ErrResume, ReasonCipher)
		if !confirmed {
			greet(t, a, b)
		}
		exchange1(t, a, b, []byte("unharmed"))
		exchange1(t, b, a, []byte("unharmed"))
	}
	// Likewise a server's hello, at a client that has begun another attempt.
	c, s := sessions(t)
	x, y := reviverOf(t, c), reviverOf(t, s)
	y.start()
	hello := must(y.receive(must(x.receive(must(y.receive(must(x.start())))))))
	z := reviverOf(t, c)
	if _, err := x.receive(hello); !errors.Is(err, ErrClosed) {
		t.Errorf("an abandoned attempt: %v", err)
	}
	y = reviverOf(t, s)
	if cErr, sErr := revive(t, z, y, honest); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	greet(t, z.Link(), y.Link())
}

// Nothing arrives twice: what is still under way on the old link counts no more
// once either end has said what it has.
func TestOldLinkIsRetired(t *testing.T) {
	c, s := sessions(t)
	a, b := c.Link(), s.Link()
	toServer, toClient := seal(t, a, "late"), seal(t, b, "late")
	newA, newB := mustRevive(t, c, s)
	if _, _, err := b.Open(epoch, nil, toServer); !errors.Is(err, ErrClosed) {
		t.Errorf("the server's old link: %v", err)
	}
	if _, _, err := a.Open(epoch, nil, toClient); !errors.Is(err, ErrClosed) {
		t.Errorf("the client's old link: %v", err)
	}
	for _, old := range []*Link{a, b} {
		if _, err := old.Seal(epoch, nil, nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("sealing on an old link: %v", err)
		}
		if frame, err := old.Next(epoch, nil); frame != nil || err != nil {
			t.Errorf("sending again on an old link: %v", err)
		}
	}
	greet(t, newA, newB)
	if got := fmt.Sprint(drain(t, newA, newB), drain(t, newB, newA)); got != "[late] [late]" {
		t.Errorf("arrived: %s", got)
	}
}

// A15, A18: every single-bit change of every message of a resume fails, for the
// attempt only.
func TestA15EveryBitOfAResumeCounts(t *testing.T) {
	c, s := sessions(t)
	step := 1
	if slowtest.Mode {
		step = 37
	}
	for n := 1; n <= 4; n++ {
		size := 1
		for bit := 0; bit < 8*size; bit += step {
			change := changing(n, func(frame []byte) []byte {
				size = len(frame)
				if bit < 8*size {
					frame[bit/8] ^= 1 << (bit % 8)
				}
				return frame
			})
			x, y := reviverOf(t, c), reviverOf(t, s)
			withTerms(x, y)
			if cErr, sErr := revive(t, x, y, change); cErr == nil && sErr == nil || x.Link() != nil {
				t.Fatalf("r%d, bit %d: %v, %v", n, bit, cErr, sErr)
			} else if err := errors.Join(cErr, sErr); !errors.Is(err, ErrResume) || err.Error() != ErrResume.Error() {
				t.Fatalf("r%d, bit %d: %v", n, bit, err)
			}
		}
		for cut := range size {
			if n > 2 && cut%29 > 0 {
				continue
			}
			x, y := reviverOf(t, c), reviverOf(t, s)
			if cErr, sErr := revive(t, x, y, changing(n, func(f []byte) []byte { return f[:cut] })); cErr == nil && sErr == nil {
				t.Fatalf("r%d cut to %d is taken", n, cut)
			}
		}
	}
	a, b := mustRevive(t, c, s)
	greet(t, a, b)
}

// withTerms has both hellos carry all they can.
func withTerms(c, s *reviver) {
	c.Present([]byte("a token"))
	c.Bind(make([]byte, 32))
	s.Bind(make([]byte, 32))
	s.Grant(time.Hour)
}

// A11: each message of a resume, sent back to its sender, or to the other end in
// another's place, leads nowhere.
func TestA11ReflectedResumeFails(t *testing.T) {
	c, s := sessions(t)
	var frames [][]byte
	tap := func(_ int, f []byte) []byte { frames = append(frames, bytes.Clone(f)); return f }
	revive(t, reviverOf(t, c), reviverOf(t, s), tap)
	for i := range frames {
		for n := range frames {
			if i == n {
				continue
			}
			put := changing(n+1, func([]byte) []byte { return frames[i] })
			if cErr, sErr := revive(t, reviverOf(t, c), reviverOf(t, s), put); cErr == nil && sErr == nil {
				t.Errorf("r%d in the place of r%d is taken", i+1, n+1)
			}
		}
	}
	// A client that gets everything back.
	x := reviverOf(t, c)
	first := must(x.start())
	if _, err := x.receive(first); !errors.Is(err, ErrResume) {
		t.Errorf("r1 returned: %v", err)
	}
}

// A04, A26: the messages of two sessions, or of two application protocols, do not mix.
func TestResumesDoNotMix(t *testing.T) {
	c1, s1 := sessions(t)
	c2, s2 := sessions(t)
	if cErr, sErr := revive(t, reviverOf(t, c1), reviverOf(t, s2), honest); cErr != nil || !errors.Is(sErr, ErrResume) {
		t.Errorf("another session's server: %v, %v", cErr, sErr)
	}
	// A hop that joins r1, r2 of one session to r3, r4 of the other.
	x1, y1, x2, y2 := reviverOf(t, c1), reviverOf(t, s1), reviverOf(t, c2), reviverOf(t, s2)
	y1.start()
	y2.start()
	hello1 := must(x1.receive(must(y1.receive(must(x1.start())))))
	hello2 := must(x2.receive(must(y2.receive(must(x2.start())))))
	_, err := y1.receive(hello2)
	wantReason(t, err, ErrResume, ReasonCipher)
	_, err = y2.receive(hello1)
	wantReason(t, err, ErrResume, ReasonCipher)

	cfg := configFor(bob)
	cfg.Protocol = "test/2"
	y := &reviver{Resume: must(AnswerResume(cfg, s1, epoch))}
	_, err = revive(t, reviverOf(t, c1), y, honest)
	wantReason(t, err, ErrResume, ReasonCipher)
}

// A18: a client that says it has less than it has acknowledged, or more than it was
// sent, was restored from a backup or lies. The session is closed to it in the same step,
// and to every other attempt.
func TestA18FalsePositionIsRefused(t *testing.T) {
	for _, position := range []uint64{0, 1, 6, 1 << 63, 1<<64 - 1} {
		c, s := sessions(t)
		for range 5 {
			mustOpen(t, c.Link(), seal(t, s.Link(), "hello"))
		}
		mustOpen(t, s.Link(), ackRecord(c.Link(), 2, initialCredit))
		c.in.received = position
		cErr, sErr := revive(t, reviverOf(t, c), reviverOf(t, s), honest)
		if cErr != nil {
			t.Fatal(cErr)
		}
		wantReason(t, sErr, ErrResume, ReasonAck)
		if s.Link() != nil {
			t.Error("the session still has a link")
		}
		c.in.received = 5
		_, sErr = revive(t, reviverOf(t, c), reviverOf(t, s), honest)
		wantReason(t, sErr, ErrResume, ReasonCipher)
	}
	c, s := sessions(t)
	s.in.received = 7
	cErr, _ := revive(t, reviverOf(t, c), reviverOf(t, s), honest)
	wantReason(t, cErr, ErrResume, ReasonAck)
}

// A20: of two clones of a client only one gets on.
func TestA20ClonedClientLosesTheSession(t *testing.T) {
	c, s := sessions(t)
	secret := *c.secret
	twin := &Session{client: true, maxMessage: c.maxMessage, peer: c.peer, secret: &secret, link: c.link, out: c.out, in: c.in}
	mustOpen(t, s.Link(), seal(t, c.Link(), "hello"))
	a, b := mustRevive(t, c, s)
	cErr, sErr := revive(t, reviverOf(t, twin), reviverOf(t, s), honest)
	if cErr != nil {
		t.Fatal(cErr)
	}
	wantReason(t, sErr, ErrResume, ReasonCipher) // the same attempt, a second time
	greet(t, a, b)
	exchange1(t, a, b, []byte("unharmed"))
}

// A50: a server that no longer wants the client says so to it alone, in a frame like
// any other, and a client that no longer wants the server stays without a link.
func TestA50VerdictOfAResume(t *testing.T) {
	sizes := map[int]bool{}
	for code, want := range map[Code]error{codeAccepted: nil, CodeRefused: ErrRefused, CodeUnavailable: ErrUnavailable} {
		c, s := sessions(t)
		link := s.Link()
		x, y := reviverOf(t, c), reviverOf(t, s)
		y.deny = code
		cErr, sErr := revive(t, x, y, func(n int, f []byte) []byte {
			if n == 4 {
				sizes[len(f)] = true
			}
			return f
		})
		if !errors.Is(cErr, want) || sErr != nil {
			t.Errorf("code %d: %v, %v", code, cErr, sErr)
		}
		if code != codeAccepted && (s.Link() != link || x.Link() != nil || y.Link() != nil) {
			t.Error("a refused attempt changed something")
		}
	}
	if len(sizes) != 1 {
		t.Errorf("a hop tells verdicts apart by their sizes %v", sizes)
	}
	c, s := sessions(t)
	x := reviverOf(t, c)
	x.deny = CodeRefused
	revive(t, x, reviverOf(t, s), honest)
	if x.Link() != nil || c.Link() != nil {
		t.Error("the client has a link with a server it refused")
	}
}

// A hello shows the identity as it is now: a later statement by the same root is
// taken, and nothing else.
func TestResumeLearnsLaterIdentity(t *testing.T) {
	mine := must(keys.GenerateIdentity("carol"))
	x, y := clientOf(configFor(mine), mine), server(bob)
	mustMeet(t, x, y)
	c, s := x.h.Session(), y.h.Session()
	old := mine.Public()
	if err := mine.Renew(); err != nil {
		t.Fatal(err)
	}
	attempt := func(id *keys.PublicIdentity) (cErr, sErr error) {
		cfg := configFor(mine)
		cfg.Identity = id
		x := &reviver{Resume: must(NewResume(cfg, c, epoch))}
		return revive(t, x, reviverOf(t, s), honest)
	}
	if cErr, sErr := attempt(mine.Public()); cErr != nil || sErr != nil || s.Peer().Serial() != mine.Public().Serial() {
		t.Fatalf("a later statement: %v, %v", cErr, sErr)
	}
	for name, id := range map[string]*keys.PublicIdentity{"an earlier statement": old, "another root": mallory.Public()} {
		_, sErr := attempt(id)
		if wantReason(t, sErr, ErrResume, ReasonIdentity); s.Peer().Serial() != mine.Public().Serial() {
			t.Errorf("%s was taken", name)
		}
	}
}

// Forward secrecy: who has recorded everything and learns a resume secret afterwards
// still lacks the fresh share, and with it the hello, the records and the next secret.
func TestA13ResumeIsForwardSecret(t *testing.T) {
	c, s := sessions(t)
	stolen := *c.secret
	var frames [][]byte
	tap := func(_ int, f []byte) []byte { frames = append(frames, bytes.Clone(f)); return f }
	x, y := reviverOf(t, c), reviverOf(t, s)
	revive(t, x, y, tap)
	if c.secret.value == stolen.value {
		t.Fatal("the secret was used again")
	}
	// The thief plays the server's part with a share of his own on the recorded r1:
	// the psk is right, the result is not what the client computed.
	psk := expand(stolen.value[:], []byte(label.ResumePSK), secretSize)
	thief := newKeyedExchange(false, resumePrologue(Speech{"test/1", ProofNone}), psk, nil)
	if _, err := thief.readFirst(frames[0][hashSize:]); err != nil {
		t.Fatalf("the thief's key is wrong, and the test with it: %v", err)
	}
	_, schedule, err := thief.writeSecond()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schedule.open(label.ResumeClientHello, frames[2]); err == nil {
		t.Error("a stolen secret opens a recorded hello")
	}
	if string(schedule.derive(label.ResumeNext)) == string(c.secret.value[:]) {
		t.Error("a stolen secret leads to the next")
	}
}

// A08: a low-order share is refused here too.
func TestA08ResumeRefusesLowOrderShare(t *testing.T) {
	c, s := sessions(t)
	psk := expand(c.secret.value[:], []byte(label.ResumePSK), secretSize)
	o := &outsider{}
	name := []byte("Noise_NNpsk0_25519_AESGCM_SHA256")
	o.ck, o.h = name, name
	o.mixHash(resumePrologue(Speech{"test/1", ProofNone}))
	o.mixKeyAndHash(psk)
	o.e(make([]byte, 32))
	id := resumeID(c.secret.value)
	first := append(append(id[:], make([]byte, 32)...), o.encrypt(nil)...)
	y := reviverOf(t, s)
	y.start()
	_, err := y.receive(first)
	wantReason(t, err, ErrResume, ReasonKeyShare)
}

// What is derived, computed a second time from the specification.
func TestResumeKnownAnswers(t *testing.T) {
	c, s := sessions(t)
	var secret [32]byte
	copy(secret[:], bytes.Repeat([]byte{9}, 32))
	c.secret.value, s.secret.value = secret, secret
	cfg := configFor(alice)
	cfg.random.ephemeral = bytes.NewReader(bytes.Repeat([]byte{1}, 32))
	x := &reviver{Resume: must(NewResume(cfg, c, epoch))}
	cfg = configFor(bob)
	cfg.random.ephemeral = bytes.NewReader(bytes.Repeat([]byte{3}, 32))
	y := &reviver{Resume: must(AnswerResume(cfg, s, epoch))}
	var frames [][]byte
	revive(t, x, y, func(_ int, f []byte) []byte { frames = append(frames, bytes.Clone(f)); return f })

	x25519 := func(b byte) *ecdh.PrivateKey { return must(ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{b}, 32))) }
	eC, eS := x25519(1), x25519(3)
	o := &outsider{}
	name := []byte("Noise_NNpsk0_25519_AESGCM_SHA256")
	o.ck, o.h = name, name
	o.mixHash([]byte("hopseal/1 session prologue\x00\x06resume\x06test/1\x00"))
	o.mixKeyAndHash(expand(secret[:], []byte("hopseal/1 session resume psk\x00"), 32))
	o.e(eC.PublicKey().Bytes())
	id := expand(secret[:], []byte("hopseal/1 session resume id\x00"), 32)
	if r1 := bytes.Join([][]byte{id, eC.PublicKey().Bytes(), o.encrypt(nil)}, nil); !bytes.Equal(r1, frames[0]) {
		t.Fatal("r1 is not what the specification says")
	}
	o.e(eS.PublicKey().Bytes())
	o.mixKey(must(eS.ECDH(eC.PublicKey())))
	if r2 := append(eS.PublicKey().Bytes(), o.encrypt(nil)...); !bytes.Equal(r2, frames[1]) {
		t.Fatal("r2 is not what the specification says")
	}
	k1, k2 := o.split()
	schedule := newSchedule(o.h, k1, k2)
	for i, name := range []string{"client", "server"} {
		purpose := "hopseal/1 session resume " + name + " hello\x00"
		if _, err := schedule.open(label.Label(purpose), frames[2+i]); err != nil {
			t.Errorf("the %s hello does not open with the key of the specification", name)
		}
		schedule.absorb(frames[2+i])
	}
	if next := schedule.derive("hopseal/1 session resume next secret\x00"); !bytes.Equal(next, c.secret.value[:]) {
		t.Error("the next secret is not what the specification says")
	}
	if got := fmt.Sprintf("%x", sum(frames[0], frames[1])); got != goldenResume {
		t.Errorf("sha256(r1 ‖ r2) = %s, want %s", got, goldenResume)
	}
}

// Secret 32 x 09, X25519 shares 32 x 01 (client) and 32 x 03 (server).
const goldenResume = "16c0f145e2e1606485b5c9a4cafe18c47c3f6f0ebebd86491118dd3f702f6758"

// FuzzA32Resume gives each message of a resume to the end that waits for it.
func FuzzA32Resume(f *testing.F) {
	c, s := sessions(f)
	f.Add(uint8(0), []byte{}, uint16(0), []byte{1})
	f.Add(uint8(1), []byte{0}, uint16(0), []byte{})
	f.Add(uint8(2), make([]byte, minAuthSize), uint16(9), []byte{255})
	f.Add(uint8(3), []byte{}, uint16(900), []byte{4})
	f.Fuzz(func(t *testing.T, n uint8, raw []byte, at uint16, patch []byte) {
		n = n%4 + 1
		changed := false
		change := changing(int(n), func(frame []byte) []byte {
			sent := bytes.Clone(frame)
			frame = mutate(frame, raw, at, 0, patch)
			changed = !bytes.Equal(frame, sent)
			return frame
		})
		x := reviverOf(t, c)
		cErr, sErr := revive(t, x, reviverOf(t, s), change)
		if err := errors.Join(cErr, sErr); (err != nil) != changed || err != nil && !errors.Is(err, ErrResume) && !errors.Is(err, ErrUnknownSession) {
			t.Errorf("r%d changed: %v; %v, %v", n, changed, cErr, sErr)
		}
	})
}

// Conclude leaves nothing between the list and the end: what is sealed after it has no
// number, and nobody can go on. The link can still be closed.
func TestConcludeEndsAndLists(t *testing.T) {
	c, s := sessions(t)
	a := c.Link()
	mustOpen(t, s.Link(), seal(t, a, "arrives"))
	pass(t, epoch.Add(ackDelay), s.Link(), a)
	lost := seal(t, a, "lost")
	if first, left := c.Conclude(); first != 2 || len(left) != 1 || string(left[0]) != "lost" {
		t.Errorf("%d messages from %d on", len(left), first)
	}
	if _, err := a.Seal(epoch, nil, nil, []byte("too late")); err != ErrFinished || c.Sent() != 2 {
		t.Errorf("sealed behind the end: %v", err)
	}
	if _, err := NewResume(configFor(alice), c, epoch); err != ErrClosed {
		t.Errorf("resumed behind the end: %v", err)
	}
	mustOpen(t, s.Link(), lost)
	openAs(t, s.Link(), must(a.SealClose(epoch, nil, 1)), PeerClose)
}
