package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"encoding/json"

	"github.com/hopseal/hopseal/keys"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	alice   = newIdentity("alice")
	bob     = newIdentity("bob")
	mallory = newIdentity("mallory")
)

func newIdentity(name string) *keys.Identity { return must(keys.GenerateIdentity(name)) }

// end drives one Handshake as a program would, with the attacker's choices as
// fields.
type end struct {
	h    *Handshake
	sign func(message []byte) []byte
	deny Code // instead of accepting
	now  time.Time
	next Action
	last []byte               // what it has sent last
	seen *keys.PublicIdentity // what it was asked to decide on
}

func configFor(id *keys.Identity) Config {
	return Config{Identity: id.Public(), Protocol: "test/1", KeepAlive: -1}
}

// test1 is what all ends say to speak, unless they are told otherwise.
var test1 = Speech{Protocol: "test/1"}.bytes()

func signWith(id *keys.Identity) func([]byte) []byte {
	return func(m []byte) []byte { return must(id.Signer().Sign(m)) }
}

func client(id *keys.Identity) *end { return clientOf(configFor(id), id) }
func server(id *keys.Identity) *end { return serverOf(configFor(id), id) }

func clientOf(cfg Config, signer *keys.Identity) *end {
	return &end{h: must(NewClient(cfg, epoch)), sign: signWith(signer), now: epoch}
}

func serverOf(cfg Config, signer *keys.Identity) *end {
	return &end{h: must(NewServer(cfg, epoch)), sign: signWith(signer), now: epoch}
}

// settle does what steps ask for until the other end is due, and returns what to
// send to it.
func (e *end) settle(step Step, err error) (frame []byte, _ error) {
	for {
		if step.Frame != nil {
			frame, e.last = step.Frame, step.Frame
		}
		if err != nil {
			e.next = Closed
			return frame, err
		}
		e.next = step.Next
		switch step.Next {
		case Sign:
			step, err = e.h.Signed(e.now, e.sign(e.h.ToSign()))
		case Decide:
			if e.seen = e.h.Peer(); e.deny != codeAccepted {
				step, err = e.h.Refuse(e.deny)
			} else {
				step, err = e.h.Accept(e.now)
			}
		default:
			return frame, nil
		}
	}
}

func (e *end) start() ([]byte, error)               { return e.settle(e.h.Start(e.now)) }
func (e *end) receive(frame []byte) ([]byte, error) { return e.settle(e.h.Receive(e.now, frame)) }

// A hop sees message n, 1 to 4, and says what arrives.
type hop func(n int, frame []byte) []byte

func honest(_ int, frame []byte) []byte { return bytes.Clone(frame) }

// changing returns a hop that changes message n only.
func changing(n int, change func(frame []byte) []byte) hop {
	return func(i int, frame []byte) []byte {
		if i == n {
			return change(bytes.Clone(frame))
		}
		return bytes.Clone(frame)
	}
}

// meet runs a handshake until it is done or one end fails.
func meet(c, s *end, via hop) (clientErr, serverErr error) {
	if _, serverErr = s.start(); serverErr != nil {
		return nil, serverErr
	}
	frame, clientErr := c.start()
	for n := 1; clientErr == nil && frame != nil; n += 2 {
		if frame, serverErr = s.receive(via(n, frame)); serverErr != nil || frame == nil {
			return nil, serverErr
		}
		frame, clientErr = c.receive(via(n+1, frame))
	}
	return clientErr, nil
}

// pair returns two ends of an established session.
func pair(t testing.TB) (c, s *Link) {
	t.Helper()
	c, s = bounded(t)
	return generous(c), generous(s)
}

// bounded is pair with delivery's bounds in force.
func bounded(t testing.TB) (c, s *Link) {
	t.Helper()
	a, b := client(alice), server(bob)
	mustMeet(t, a, b)
	return a.h.Session().Link(), b.h.Session().Link()
}

func mustMeet(t testing.TB, c, s *end) {
	t.Helper()
	if cErr, sErr := meet(c, s, honest); cErr != nil || sErr != nil {
		t.Fatalf("handshake: client %v, server %v", cErr, sErr)
	}
	if c.next != Done || s.next != Done || c.h.Session() == nil || s.h.Session() == nil {
		t.Fatalf("handshake ended in %v and %v", c.next, s.next)
	}
}

// wantReason fails unless err is of the kind and has the reason, and says no more
// than its kind.
func wantReason(t testing.TB, err, kind error, reason Reason) {
	t.Helper()
	var e *Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("error %v (%+v), want %v for %v", err, e, kind, reason)
	}
	if err.Error() != kind.Error() {
		t.Errorf("text %q tells more than %q", err, kind)
	}
}

func TestHandshakeMakesOneSession(t *testing.T) {
	c, s := client(alice), server(bob)
	mustMeet(t, c, s)
	if c.seen.Fingerprint() != bob.Fingerprint() || s.seen.Fingerprint() != alice.Fingerprint() {
		t.Error("an end was asked about somebody else")
	}
	a, b := c.h.Session(), s.h.Session()
	if a.ID() != b.ID() {
		t.Error("the ends disagree about the session")
	}
	for i := range 3 {
		a, b := a.Link(), b.Link()
		exchange1(t, a, b, fmt.Append(nil, "to the server ", i))
		exchange1(t, b, a, fmt.Append(nil, "to the client ", i))
	}
}

// exchange1 sends one message and checks that it arrives.
func exchange1(t testing.TB, from, to *Link, message []byte) {
	t.Helper()
	got := openAll(t, to, []byte("before:"), sealAll(t, from, message))
	if string(got) != "before:"+string(message) {
		t.Fatalf("opened %.40q, want %.40q", got, message)
	}
}

// sealAll returns the frames of a message.
func sealAll(t testing.TB, l *Link, message []byte) (frames [][]byte) {
	t.Helper()
	frame, err := l.Seal(epoch, nil, nil, message)
	for ; err == nil && len(frame) > 0; frame, err = l.Next(epoch, nil) {
		frames = append(frames, frame)
	}
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// openAll appends to dst what the frames of one message bring.
func openAll(t testing.TB, l *Link, dst []byte, frames [][]byte) []byte {
	t.Helper()
	for i, frame := range frames {
		want := Part
		if i == len(frames)-1 {
			want = Message
		}
		var event Event
		var err error
		if dst, event, err = l.Open(epoch, dst, frame); err != nil || event != want {
			t.Fatalf("frame %d of %d: event %v, want %v, %v (%+v)", i+1, len(frames), event, want, err, err)
		}
	}
	return dst
}

func TestSessionsHaveNothingInCommon(t *testing.T) {
	a, _ := pair(t)
	b, _ := pair(t)
	if a.session.ID() == b.session.ID() || a.send.chain == b.send.chain || a.send.chain == a.recv.chain {
		t.Error("two sessions or directions share a secret")
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	good := configFor(alice)
	for name, change := range map[string]func(*Config){
		"no identity":         func(c *Config) { c.Identity = nil },
		"no protocol":         func(c *Config) { c.Protocol = "" },
		"long protocol":       func(c *Config) { c.Protocol = strings.Repeat("p", MaxProtocol+1) },
		"unknown proof":       func(c *Config) { c.Proof = ProofEd25519 + 1 },
		"negative message":    func(c *Config) { c.MaxMessage = -1 },
		"immense message":     func(c *Config) { c.MaxMessage = MaxMessageLimit + 1 },
		"narrow window":       func(c *Config) { c.Window = MinWindow - 1 },
		"immense window":      func(c *Config) { c.Window = MaxWindow + 1 },
		"time that runs back": func(c *Config) { c.HandshakeTimeout = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewClient(cfg, epoch); err == nil {
			t.Errorf("%s: accepted by NewClient", name)
		}
		if _, err := NewServer(cfg, epoch); err == nil {
			t.Errorf("%s: accepted by NewServer", name)
		}
	}
}

// The deadline holds at every step, for both ends.
func TestDeadlineEndsEveryStep(t *testing.T) {
	calls := map[string]func(*end, []byte) error{
		"Start":   func(e *end, _ []byte) error { _, err := e.h.Start(e.now); return err },
		"Receive": func(e *end, f []byte) error { _, err := e.h.Receive(e.now, f); return err },
		"Signed":  func(e *end, _ []byte) error { _, err := e.h.Signed(e.now, make([]byte, 64)); return err },
		"Accept":  func(e *end, _ []byte) error { _, err := e.h.Accept(e.now); return err },
	}
	for name, call := range calls {
		e := client(alice)
		if want := epoch.Add(DefaultHandshakeTimeout); !e.h.Deadline().Equal(want) {
			t.Fatalf("deadline %v, want %v", e.h.Deadline(), want)
		}
		e.now = e.h.Deadline()
		if err := call(e, nil); !errors.Is(err, ErrExpired) {
			t.Errorf("%s after the deadline: %v", name, err)
		}
		e.now = epoch
		if err := call(e, nil); !errors.Is(err, ErrClosed) && name != "Signed" {
			t.Errorf("%s on a dead handshake: %v", name, err)
		}
	}
}

// A call that is not due kills the handshake instead of confusing it.
func TestCallsOutOfOrderFail(t *testing.T) {
	sig := make([]byte, 64)
	for name, call := range map[string]func(h *Handshake) error{
		"Receive before Start": func(h *Handshake) error { _, err := h.Receive(epoch, sig); return err },
		"Signed before Start":  func(h *Handshake) error { _, err := h.Signed(epoch, sig); return err },
		"Accept before Start":  func(h *Handshake) error { _, err := h.Accept(epoch); return err },
		"Start twice":          func(h *Handshake) error { h.Start(epoch); _, err := h.Start(epoch); return err },
		"Refuse, then Accept":  func(h *Handshake) error { h.Refuse(CodeRefused); _, err := h.Accept(epoch); return err },
	} {
		for _, e := range []*end{client(alice), server(bob)} {
			if err := call(e.h); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
			if e.h.Session() != nil || e.h.state != dead {
				t.Errorf("%s: the handshake goes on", name)
			}
		}
	}
}

func TestSignatureOfWrongSizeIsOurOwnError(t *testing.T) {
	c, s := client(alice), server(bob)
	s.sign = func([]byte) []byte { return make([]byte, 63) }
	_, err := meet(c, s, honest)
	if err == nil || errors.Is(err, ErrHandshake) {
		t.Errorf("a signer that returns 63 bytes: %v", err)
	}
}

// A42: no secret is printed, whatever prints it.
func TestA42SecretsRedactThemselves(t *testing.T) {
	c, s := client(alice), server(bob)
	marker := bytes.Repeat([]byte{0xA7}, 32)
	mustMeet(t, c, s)
	session, link := c.h.Session(), c.h.Session().Link()
	copy(link.send.chain[:], marker)
	copy(link.recv.chain[:], marker)
	copy(link.rekey.secret[:], marker)
	link.rekey.send, link.rekey.answer = &epochKeys{marker, marker}, marker
	copy(session.id[:], marker)
	session.out.unacked.push(nil, marker)
	copy(session.secret.value[:], marker)
	resume := must(NewResume(configFor(alice), session, epoch))
	resume.Start(epoch)
	resume.schedule = newSchedule(marker, marker, marker)
	copy(resume.schedule.secret[:], marker)
	waiting := client(alice)
	waiting.start()
	waiting.h.schedule = newSchedule(marker, marker, marker)
	copy(waiting.h.schedule.secret[:], marker)

	for _, v := range []any{session, link, *link, resume, *resume, session.secret, *session.secret, waiting.h, *waiting.h} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%d", "%q"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).LogAttrs(context.Background(), slog.LevelInfo, "", slog.Any("v", v))
		slog.New(slog.NewJSONHandler(&out, nil)).LogAttrs(context.Background(), slog.LevelInfo, "", slog.Any("v", v))
		json.NewEncoder(&out).Encode(v)
		for _, trace := range []string{"a7a7", "A7A7", "167 167", "167,167", "p6en", "\xa7\xa7", "0xa7", `\xa7\xa7`} {
			if strings.Contains(out.String(), trace) {
				t.Errorf("%T shows its secret as %q:\n%s", v, trace, out.String())
			}
		}
	}
}
