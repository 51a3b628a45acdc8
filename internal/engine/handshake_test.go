package engine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mlkem"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// twin is one handshake whose ends can be had again in every state, so that each
// recorded frame can be changed in many ways.
type twin struct {
	frames [4][]byte
	kem    *mlkem.DecapsulationKey768
	due    [4]end // the end that message n+1 goes to, waiting for it
}

func newTwin(t testing.TB) *twin {
	tw := &twin{kem: must(fixed(0, 2).generate())}
	c := tw.client()
	cfg := configFor(bob)
	cfg.random = fixed(3, 4)
	s := serverOf(cfg, bob)
	s.h.Bind(make([]byte, 32))
	s.h.Grant(time.Hour)
	mustMeetVia(t, c, s, func(n int, f []byte) []byte {
		tw.frames[n-1], tw.due[n-1] = bytes.Clone(f), frozen([]*end{s, c}[(n-1)%2])
		return f
	})
	return tw
}

func (tw *twin) client() *end {
	cfg := configFor(alice)
	cfg.random = fixed(1, 2)
	cfg.random.generate = func() (*mlkem.DecapsulationKey768, error) { return tw.kem, nil }
	c := clientOf(cfg, alice)
	c.h.Present([]byte("a token"))
	c.h.Bind(make([]byte, 32))
	return c
}

// frozen copies an end. What it does not copy is either never changed or, in the
// Noise library, beyond copying.
func frozen(e *end) end {
	h, twin := *e.h, *e
	if h.schedule != nil {
		schedule := *h.schedule
		h.schedule = &schedule
	}
	twin.h = &h
	return twin
}

// before returns the end that message n goes to, waiting for it.
func (tw *twin) before(n int) *end {
	switch n {
	case 1:
		s := server(bob)
		s.start()
		return s
	case 2:
		c := tw.client()
		c.start()
		return c
	}
	e := frozen(&tw.due[n-1])
	return &e
}

// A37: whatever a hop does to any message, the end that receives it fails with
// the one error, shows nobody to the application and sends nothing.
func (tw *twin) mustRefuse(t *testing.T, n int, frame []byte, what string, i int) {
	e := tw.before(n)
	reply, err := e.receive(frame)
	switch {
	case !errors.Is(err, ErrHandshake) || err.Error() != ErrHandshake.Error():
		t.Errorf("m%d, %s %d: %v", n, what, i, err)
	case reply != nil || e.h.Session() != nil || n < 4 && e.seen != nil:
		t.Errorf("m%d, %s %d: refused, but the handshake went on", n, what, i)
	}
}

func TestTwinIsDeterministic(t *testing.T) {
	a, b := newTwin(t), newTwin(t)
	for i := range a.frames {
		if !bytes.Equal(a.frames[i], b.frames[i]) {
			t.Errorf("m%d differs", i+1)
		}
		if _, err := a.before(i + 1).receive(b.frames[i]); err != nil {
			t.Errorf("m%d as it was is refused: %v", i+1, err)
		}
	}
}

// A15: no bit of any message can be changed.
func TestA15EveryBitOfTheHandshakeCounts(t *testing.T) {
	tw := newTwin(t)
	for n := 1; n <= 4; n++ {
		bits := 8 * len(tw.frames[n-1])
		step := 1
		if slowtest.Mode || testing.Short() {
			step = 61 // odd, so that all eight positions in a byte come up
		}
		spread(bits, step, func(bit int) {
			frame := bytes.Clone(tw.frames[n-1])
			frame[bit/8] ^= 1 << (bit % 8)
			tw.mustRefuse(t, n, frame, "bit", bit)
		})
	}
}

// spread calls f for 0, step, 2 step, … below n on all processors.
func spread(n, step int, f func(int)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w * step; i < n; i += workers * step {
				f(i)
			}
		})
	}
	wg.Wait()
}

// A15: nor can a message be cut or continued.
func TestA15EveryLengthOfTheHandshakeCounts(t *testing.T) {
	tw := newTwin(t)
	for n := 1; n <= 4; n++ {
		whole := tw.frames[n-1]
		step := 1
		if slowtest.Mode || testing.Short() {
			step = 37
		}
		spread(len(whole), step, func(size int) { tw.mustRefuse(t, n, whole[:size], "cut to", size) })
		for _, more := range []int{1, 16, 64, 80, MaxHandshakeFrame - len(whole), MaxHandshakeFrame} {
			tw.mustRefuse(t, n, append(bytes.Clone(whole), make([]byte, more)...), "longer by", more)
		}
	}
}

// A17: a recording of either side means nothing to a fresh peer.
func TestA17RecordedSideNeverAuthenticates(t *testing.T) {
	var frames [5][]byte
	c, s := client(alice), server(bob)
	mustMeetVia(t, c, s, func(n int, f []byte) []byte { frames[n] = bytes.Clone(f); return f })

	fresh := server(bob)
	fresh.start()
	if _, err := fresh.receive(frames[1]); err != nil {
		t.Fatalf("a fresh server must take any m1: %v", err)
	}
	_, err := fresh.receive(frames[3])
	wantReason(t, err, ErrHandshake, ReasonCipher)

	again := client(alice)
	again.start()
	_, err = again.receive(frames[2])
	wantReason(t, err, ErrHandshake, ReasonCipher)
	if fresh.seen != nil || again.seen != nil {
		t.Error("a recording was shown to the application as a peer")
	}
}

// A11: an end that gets its own frames back gets nowhere.
func TestA11ReflectedHandshakeFails(t *testing.T) {
	c := client(alice)
	m1, _ := c.start()
	_, err := c.receive(m1)
	wantReason(t, err, ErrHandshake, ReasonCipher)

	c, s := client(alice), server(bob)
	s.start()
	m1, _ = c.start()
	m2, _ := s.receive(m1)
	_, err = s.receive(m2)
	wantReason(t, err, ErrHandshake, ReasonCipher)

	c = client(alice)
	_, err = meet(c, server(bob), changing(3, func(m3 []byte) []byte { return m3 }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.receive(bytes.Repeat([]byte{1}, m4Size))
	if err == nil {
		t.Error("a frame after the handshake was taken for one of it")
	}
}

// A11: one's own identity at the other end is a reflection, unless it was asked
// for.
func TestA11OwnIdentityAsPeer(t *testing.T) {
	cErr, _ := meet(client(alice), server(alice), honest)
	wantReason(t, cErr, ErrHandshake, ReasonSelf)

	generous := configFor(alice)
	generous.AllowSelf = true
	_, sErr := meet(clientOf(generous, alice), server(alice), honest)
	wantReason(t, sErr, ErrHandshake, ReasonSelf)
	mustMeet(t, clientOf(generous, alice), serverOf(generous, alice))
}

// relabel changes the label of a message that is about to be signed.
func relabel(id *keys.Identity, from, to label.Label) func([]byte) []byte {
	return func(m []byte) []byte {
		return signWith(id)(to.With(bytes.TrimPrefix(m, []byte(from))))
	}
}

// A07: what is signed names the role, the transcript and the identity; a signature
// made for anything else proves nothing.
func TestA07SignatureCoversRoleTranscriptAndIdentity(t *testing.T) {
	overOther := func(id *keys.Identity) func([]byte) []byte {
		return func(m []byte) []byte {
			other := client(id)
			other.h.schedule = newSchedule(m[:32], m[:32], m[:32])
			return signWith(id)(other.h.schedule.signed(label.SessionServerSign, id.Public().Bytes(), test1))
		}
	}
	withIdentityOf := func(shown, signer *keys.Identity) func([]byte) []byte {
		return func(m []byte) []byte {
			// The same transcript, but the signature names the signer's own identity.
			return signWith(signer)(bytes.Replace(m, sum(shown.Public().Bytes()), sum(signer.Public().Bytes()), 1))
		}
	}
	for name, test := range map[string]struct {
		client, server func([]byte) []byte
	}{
		"server signs in the client's role": {server: relabel(bob, label.SessionServerSign, label.SessionClientSign)},
		"client signs in the server's role": {client: relabel(alice, label.SessionClientSign, label.SessionServerSign)},
		"server signs as in an envelope":    {server: relabel(bob, label.SessionServerSign, label.EnvelopeProof)},
		"server signs another transcript":   {server: overOther(bob)},
		"client signs another transcript":   {client: overOther(alice)},
		"server's key is another's":         {server: signWith(mallory)},
		"client's key is another's":         {client: signWith(mallory)},
		"server names another identity":     {server: withIdentityOf(bob, mallory)},
		"client names another identity":     {client: withIdentityOf(alice, mallory)},
		"server signs nothing":              {server: func([]byte) []byte { return make([]byte, 64) }},
		"client signs nothing":              {client: func([]byte) []byte { return make([]byte, 64) }},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := client(alice), server(bob)
			if test.client != nil {
				c.sign = test.client
			}
			if test.server != nil {
				s.sign = test.server
			}
			cErr, sErr := meet(c, s, honest)
			err := sErr
			if test.server != nil {
				err = cErr
			}
			wantReason(t, err, ErrHandshake, ReasonSignature)
		})
	}
}

// A07: a man in the middle with an identity of his own, good at both ends, cannot
// hand the proof of one to the other.
func TestA07ProofIsGoodForOneHandshakeOnly(t *testing.T) {
	// Alice dials mallory and proves herself to him …
	var aliceSigned []byte
	a, m := client(alice), server(mallory)
	a.sign = func(msg []byte) []byte { aliceSigned = signWith(alice)(msg); return aliceSigned }
	mustMeet(t, a, m)

	// … who, at the same time, dials bob with her identity and her proof.
	asAlice := clientOf(configFor(alice), mallory)
	asAlice.sign = func([]byte) []byte { return aliceSigned }
	b := server(bob)
	_, err := meet(asAlice, b, honest)
	wantReason(t, err, ErrHandshake, ReasonSignature)
	if b.seen != nil {
		t.Error("bob was shown alice")
	}
}

// A12: whoever has stolen an end's keys can pose as that end, but not to it as
// anybody else.
func TestA12StolenKeyDoesNotImpersonateOthersToItsOwner(t *testing.T) {
	// Bob's keys are stolen; the thief wants to be alice to bob.
	thief := clientOf(configFor(alice), bob)
	b := server(bob)
	_, err := meet(thief, b, honest)
	wantReason(t, err, ErrHandshake, ReasonSignature)

	// Alice's keys are stolen; the thief wants to be bob to alice.
	a := client(alice)
	cErr, _ := meet(a, serverOf(configFor(bob), alice), honest)
	wantReason(t, cErr, ErrHandshake, ReasonSignature)
	if b.seen != nil || a.seen != nil {
		t.Error("the thief was shown as somebody else")
	}
}

// A26: shares of one session do not fit into another.
func TestA26SharesCannotBeSwappedBetweenSessions(t *testing.T) {
	// Two servers answer one m1, so that both ciphertexts fit the client's key.
	c := client(alice)
	m1, _ := c.start()
	answer := func() []byte {
		s := server(bob)
		s.start()
		return must(s.receive(m1))
	}
	one, two := answer(), answer()
	swapped := slices.Concat(two[:ctSize], one[ctSize:])
	_, err := c.receive(swapped)
	wantReason(t, err, ErrHandshake, ReasonCipher)

	// The whole encapsulation key of another session, in a well-formed m1.
	other := client(alice)
	other.start()
	cErr, _ := meet(client(alice), server(bob), changing(1, func(m1 []byte) []byte {
		return withEK(m1, other.h.kem.EncapsulationKey().Bytes())
	}))
	wantReason(t, cErr, ErrHandshake, ReasonCipher)

	// Server auth and client auth of another handshake between the same two.
	var frames [5][]byte
	mustMeetVia(t, client(alice), server(bob), func(n int, f []byte) []byte { frames[n] = bytes.Clone(f); return f })
	cErr, _ = meet(client(alice), server(bob), changing(2, func(m2 []byte) []byte {
		return append(m2[:m2HeadSize], frames[2][m2HeadSize:]...)
	}))
	wantReason(t, cErr, ErrHandshake, ReasonCipher)
	_, sErr := meet(client(alice), server(bob), changing(3, func([]byte) []byte { return frames[3] }))
	wantReason(t, sErr, ErrHandshake, ReasonCipher)
}

// others are configurations of bob that alice has nothing to talk about with.
func others() map[string]Config {
	name, proof := configFor(bob), configFor(bob)
	name.Protocol, proof.Proof = "test/2", ProofEd25519
	return map[string]Config{"name": name, "proof": proof}
}

// Two ends that speak different things each learn what the other one does, and what a hop
// sees of that is a client that was refused.
func TestOtherProtocolIsToldAtBothEnds(t *testing.T) {
	for name, cfg := range others() {
		t.Run(name, func(t *testing.T) {
			c, s := client(alice), serverOf(cfg, bob)
			c.h.Bind(make([]byte, 32))
			s.h.Bind(make([]byte, 32))
			s.h.Grant(time.Hour)
			seen := 0
			_, err := meet(c, s, func(n int, f []byte) []byte { seen = n; return f })
			own, theirs := Speech{"test/1", ProofNone}, Speech{cfg.Protocol, cfg.Proof}
			if told := new(SpeechError); !errors.As(err, &told) || *told != (SpeechError{Own: theirs, Theirs: own}) || *s.h.Differ() != *told {
				t.Errorf("the server is told %v", err)
			}
			if seen != 3 || s.seen != nil || len(s.last) != m4Size {
				t.Errorf("after m%d; the server has decided on %v, and its last frame has %d bytes", seen, s.seen, len(s.last))
			}
			_, err = c.receive(s.last)
			if told := new(SpeechError); !errors.As(err, &told) || *told != (SpeechError{Own: own, Theirs: theirs}) || *c.h.Differ() != *told {
				t.Errorf("the client is told %v", err)
			}
			if c.seen == nil || c.h.Session() != nil || s.h.Session() != nil {
				t.Error("the client has not decided, or there is a session")
			}
		})
	}
}

// A resume is of ends that have agreed: one that speaks something else by now does not
// know the session.
func TestResumeIsOfOneProtocol(t *testing.T) {
	for name, cfg := range others() {
		c, s := sessions(t)
		y := &reviver{Resume: must(AnswerResume(cfg, s, epoch))}
		_, err := revive(t, reviverOf(t, c), y, honest)
		if wantReason(t, err, ErrResume, ReasonCipher); t.Failed() {
			t.Fatalf("another %s", name)
		}
	}
}

// A hostile server, whatever it says, cannot make a client go on with a protocol that is
// not its own, nor one that has the right one believe otherwise.
func TestServerCannotTalkTheClientIntoAnotherProtocol(t *testing.T) {
	for _, code := range []Code{codeAccepted, CodeRefused, CodeUnavailable, codeSpeech} {
		c, s := client(alice), serverOf(others()["name"], bob)
		meet(c, s, honest)
		_, err := c.receive(c.h.schedule.seal(nil, label.SessionAccept, appendM4(nil, verdict{code: code})))
		if told := new(SpeechError); !errors.As(err, &told) || c.h.Session() != nil {
			t.Errorf("code %d: %v", code, err)
		}
	}
}

// Before the client has decided on the server it says nothing, and it never shows
// credentials to one with another protocol.
func TestA06CredentialsAreForTheProtocolThatWasMeant(t *testing.T) {
	cfg := others()["name"]
	c, s := client(alice), serverOf(cfg, bob)
	c.h.Present([]byte("a token"))
	var shown auth
	meet(c, s, changing(3, func(m3 []byte) []byte {
		plain := must(s.h.schedule.open(label.SessionClientAuth, m3))
		shown, _ = parseAuth(plain, clientAuthFields)
		return m3
	}))
	if len(shown.identity) == 0 || len(shown.credentials) > 0 {
		t.Errorf("the server was shown an identity of %d bytes, and %q", len(shown.identity), shown.credentials)
	}

	c, s = client(alice), serverOf(cfg, bob)
	c.deny = CodeRefused
	sent := 0
	meet(c, s, func(_ int, f []byte) []byte { sent++; return f })
	if sent != 2 || s.h.Differ() != nil {
		t.Errorf("%d frames crossed, the server knows %v", sent, s.h.Differ())
	}
}

// What an end speaks has one size, and one form.
func TestSpeechHasOneForm(t *testing.T) {
	for _, name := range []string{"a", "test/1", string(bytes.Repeat([]byte{'p'}, MaxProtocol))} {
		s := Speech{name, ProofEd25519}
		b := s.bytes()
		if got, ok := parseSpeech(b); len(b) != 257 || !ok || got != s {
			t.Errorf("%q has %d bytes, and comes back as %q", name, len(b), got.Protocol)
		}
		for i := 2 + len(name); i < len(b); i++ {
			b[i] = 1
			if _, ok := parseSpeech(b); ok {
				t.Errorf("%q with padding that is not zero", name)
			}
			b[i] = 0
		}
	}
	if _, ok := parseSpeech(make([]byte, speechSize)); ok {
		t.Error("no name at all")
	}
}

func TestProofIsPartOfTheSession(t *testing.T) {
	a, b := configFor(alice), configFor(bob)
	a.Proof, b.Proof = ProofEd25519, ProofEd25519
	c, s := clientOf(a, alice), serverOf(b, bob)
	mustMeet(t, c, s)
	if x, y := c.h.Session(), s.h.Session(); x.Proof() != ProofEd25519 || y.Proof() != ProofEd25519 || !x.Client() || y.Client() {
		t.Error("the ends do not know how they talk")
	}
}

// A37: a stranger is told that it is refused and nothing more, in a frame that a
// hop cannot tell from an acceptance.
func TestA37RefusalIsConstant(t *testing.T) {
	for code, want := range map[Code]error{CodeRefused: ErrRefused, CodeUnavailable: ErrUnavailable} {
		c, s := client(mallory), server(bob)
		s.deny = code
		var m4 []byte
		cErr, sErr := meet(c, s, changing(4, func(f []byte) []byte { m4 = f; return f }))
		if !errors.Is(cErr, want) || errors.Is(cErr, ErrHandshake) || sErr != nil {
			t.Errorf("client %v, server %v, want %v", cErr, sErr, want)
		}
		if len(m4) != m4Size || s.h.Session() != nil || s.next != Closed || s.h.state != dead {
			t.Errorf("a refusal of %d bytes, the server in state %v", len(m4), s.h.state)
		}
	}
	// The client decides first, and then says nothing at all.
	c, s := client(alice), server(mallory)
	c.deny = CodeRefused
	sent := 0
	if cErr, sErr := meet(c, s, func(_ int, f []byte) []byte { sent++; return f }); cErr != nil || sErr != nil {
		t.Errorf("client %v, server %v", cErr, sErr)
	}
	if sent != 2 || s.seen != nil || c.next != Closed {
		t.Errorf("%d frames crossed; the server was shown %v", sent, s.seen)
	}
}

// Only four codes are verdicts, a refusal says nothing else, and a verdict has no
// data.
func TestUnknownVerdictIsMalformed(t *testing.T) {
	for _, plain := range [][]byte{
		appendM4(nil, verdict{code: CodeUnavailable + 1}),
		appendM4(nil, verdict{code: codeSpeech}), // which is not so
		appendM4(nil, verdict{code: 255}),
		appendM4(nil, verdict{hop: HopReterminated + 1}),
		appendM4(nil, verdict{hop: HopUnbroken}), // which the client cannot have been asked about
		appendM4(nil, verdict{code: CodeRefused, hop: HopUnbroken}),
		appendM4(nil, verdict{code: CodeUnavailable, lifetime: time.Second}),
		appendPadded(nil, make([]byte, verdictSize), []byte("why")),
		append(appendM4(nil, verdict{})[:63:63], 1),
	} {
		c, s := client(alice), server(bob)
		cErr, _ := meet(c, s, changing(4, func([]byte) []byte {
			return c.h.schedule.seal(nil, label.SessionAccept, plain)
		}))
		wantReason(t, cErr, ErrHandshake, ReasonEncoding)
	}
}

// An authentic message that is not in its one form is refused as well. The peer
// here is hostile, but holds the keys.
func TestMalformedAuthRefused(t *testing.T) {
	good := auth{identity: bob.Public().Bytes(), speech: test1, signature: make([]byte, 64)}
	for name, test := range map[string]struct {
		plain  []byte
		reason Reason
	}{
		"client's form":    {appendAuth(nil, clientAuthFields, good), ReasonEncoding},
		"no identity":      {appendAuth(nil, serverAuthFields, auth{identity: nil, speech: test1, signature: good.signature}), ReasonEncoding},
		"not an identity":  {appendAuth(nil, serverAuthFields, auth{identity: []byte("bob"), speech: test1, signature: good.signature}), ReasonIdentity},
		"changed identity": {appendAuth(nil, serverAuthFields, auth{identity: flipped(good.identity), speech: test1, signature: good.signature}), ReasonIdentity},
		"short signature":  {appendAuth(nil, serverAuthFields, auth{identity: good.identity, speech: test1, signature: good.signature[:63]}), ReasonEncoding},
		"unpadded":         {[]byte{0, 0, 0, 0}, ReasonSize},
		"padding not zero": {append(appendPadded(nil, nil, nil)[:63:63], 9), ReasonEncoding},
		"trailing value":   {appendPadded(nil, nil, append(appendedBody(good), 0xc0)), ReasonEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := client(alice), server(bob)
			// The server's schedule before it absorbs its own auth is that of m2.
			s.sign = func(m []byte) []byte {
				forged := *s.h.schedule
				test.plain = forged.seal(nil, label.SessionServerAuth, test.plain)
				return signWith(bob)(m)
			}
			cErr, _ := meet(c, s, changing(2, func(m2 []byte) []byte { return append(m2[:m2HeadSize], test.plain...) }))
			wantReason(t, cErr, ErrHandshake, test.reason)
		})
	}
}

// revoked returns an identity that its root has withdrawn: it lists no keys.
func revoked() *keys.PublicIdentity {
	public, root, _ := ed25519.GenerateKey(nil)
	s := strict.AppendUint(strict.AppendArray(nil, 7), 1)
	s = strict.AppendBin(strict.AppendStr(s, "gone"), public)
	s = strict.AppendUint(s, math.MaxUint64)
	s = strict.AppendUint(strict.AppendUint(s, 1_900_000_000), 1_900_000_060)
	s = strict.AppendArray(s, 0)
	b := strict.AppendBin(strict.AppendArray(nil, 2), s)
	return must(keys.ParsePublic(strict.AppendBin(b, ed25519.Sign(root, label.Identity.With(s)))))
}

// A08: a revoked identity proves nothing, whatever is presented as its signature.
// The zero key, which is what an absent one reads as, is a point of small order: one
// constant signature is good for every fourth message under it.
func TestA08RevokedIdentityProvesNothing(t *testing.T) {
	gone := revoked()
	constant := make([]byte, 64)
	constant[0] = 1
	for range 32 {
		cfg := Config{Identity: gone, Protocol: "test/1"}
		c, s := client(alice), serverOf(cfg, bob)
		s.sign = func([]byte) []byte { return constant }
		cErr, _ := meet(c, s, honest)
		wantReason(t, cErr, ErrHandshake, ReasonIdentity)
	}
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func appendedBody(a auth) []byte {
	_, body, _ := parsePadded(appendAuth(nil, serverAuthFields, a), 0)
	return bytes.Clone(body)
}

// The largest identity that keys makes or takes fits into the handshake, beside the
// largest credentials.
func TestLargestIdentityFits(t *testing.T) {
	a := auth{make([]byte, keys.MaxPublicSize), test1, make([]byte, MaxCredentials), make([]byte, 32), make([]byte, 64)}
	for fields, head := range map[int]int{serverAuthFields: m2HeadSize, clientAuthFields: clientHelloFields} {
		if n := head + len(appendAuth(nil, fields, a)) + tagSize; n > MaxHandshakeFrame {
			t.Errorf("a message of %d bytes, over the limit of %d", n, MaxHandshakeFrame)
		}
	}
}

// Frames that were given to the engine are neither changed nor kept, and frames it
// gave out do not change later.
func TestHandshakeLeavesFramesAlone(t *testing.T) {
	var gave, copies [][]byte
	c, s := client(alice), server(bob)
	mustMeetVia(t, c, s, func(_ int, f []byte) []byte {
		copies = append(copies, bytes.Clone(f))
		gave = append(gave, f)
		return f
	})
	for i := range gave {
		if !bytes.Equal(gave[i], copies[i]) {
			t.Errorf("m%d changed after it was handed over", i+1)
		}
		clear(gave[i])
	}
	exchange1(t, c.h.Session().Link(), s.h.Session().Link(), []byte("still there"))
	if s.seen.Name() != "alice" {
		t.Error("the peer's identity was part of a frame")
	}
}

// A33: noise of any size but the right one is refused without a key operation,
// and almost without memory.
func TestA33FirstMessageIsCheapToRefuse(t *testing.T) {
	for _, size := range []int{0, 1, m1Size - 1, m1Size + 1, MaxHandshakeFrame, MaxHandshakeFrame + 1, 1 << 20} {
		frame := make([]byte, size)
		ready := make(chan *end, 5)
		for range cap(ready) {
			s := server(bob)
			s.start()
			ready <- s
		}
		if cost := allocated(func() { (<-ready).h.Receive(epoch, frame) }); cost > 1<<10 {
			t.Errorf("%d bytes of noise cost %d bytes", size, cost)
		}
	}
}

// A28: the parsers behind the encryption allocate nothing in proportion to what a
// length says, only to what is there.
func TestA28ParsersAllocateInProportion(t *testing.T) {
	good := appendAuth(nil, clientAuthFields, auth{identity: alice.Public().Bytes(), speech: test1, signature: make([]byte, 64)})
	inputs := [][]byte{good, good[:100], make([]byte, 8<<10), bytes.Repeat([]byte{0xff}, 8<<10)}
	for i := range good[:100] {
		inputs = append(inputs, append(bytes.Clone(good[:i]), bytes.Repeat([]byte{0xc6}, len(good)-i)...))
	}
	for _, plain := range inputs {
		if cost := allocated(func() {
			parseAuth(plain, clientAuthFields)
			parsePadded(plain, 0)
			parseM4(plain)
			parseM2(plain)
		}); cost > uint64(8*len(plain)+1024) {
			t.Errorf("%d bytes cost %d", len(plain), cost)
		}
	}
}

// allocated returns how many bytes f allocates: the least of some runs, since the
// rest of the process allocates as well. It may run f several times.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
