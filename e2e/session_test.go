package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

func TestSessionCarriesMessagesBothWays(t *testing.T) {
	c, s := over(t)
	if c.Peer().Fingerprint() != bob.Fingerprint() || s.Peer().Fingerprint() != alice.Fingerprint() {
		t.Error("an end believes that it talks to somebody else")
	}
	if info := c.Info(); info.Protocol != "test/1" || info.Transport.Kind != "pipe" || info.MaxMessage != e2e.DefaultMaxMessage {
		t.Errorf("Info: %+v", info)
	}
	for _, message := range []string{"", "a", strings.Repeat("long ", 200_000)} {
		mustSend(t, c, message)
		mustReceive(t, s, message)
		mustSend(t, s, message)
		mustReceive(t, c, message)
	}
}

func TestAppendReceiveAppends(t *testing.T) {
	c, s := over(t)
	mustSend(t, c, "tail")
	got, err := s.AppendReceive(t.Context(), []byte("head "))
	if err != nil || string(got) != "head tail" {
		t.Fatalf("%q, %v", got, err)
	}
	c.Close()
	if got, err = s.AppendReceive(t.Context(), got); !errors.Is(err, io.EOF) || string(got) != "head tail" {
		t.Errorf("%q, %v", got, err)
	}
}

// All methods at once, from many goroutines: nothing is lost, repeated or mixed.
func TestSessionIsSafeForConcurrentUse(t *testing.T) {
	c, s := over(t)
	const senders, each = 4, 100
	var work sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for _, ends := range [][2]*e2e.Session{{c, s}, {s, c}} {
		for i := range senders {
			work.Go(func() {
				for j := range each {
					mustSend(t, ends[0], fmt.Sprintf("%p %d %d", ends[0], i, j))
				}
			})
			work.Go(func() {
				for range each {
					got, err := ends[1].Receive(t.Context())
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					seen[string(got)]++
					mu.Unlock()
				}
			})
		}
	}
	work.Wait()
	for message, n := range seen {
		if n != 1 {
			t.Errorf("%q arrived %d times", message, n)
		}
	}
	if len(seen) != 2*senders*each {
		t.Errorf("%d messages arrived, want %d", len(seen), 2*senders*each)
	}
}

func TestA15CloseReachesTheOtherEnd(t *testing.T) {
	c, s := over(t)
	mustSend(t, c, "last words")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	mustReceive(t, s, "last words")
	wantEnd(t, s, e2e.CloseError{Remote: true, Code: e2e.CodeDone}, true)
	wantEnd(t, c, e2e.CloseError{}, false)
}

// A15: a hop that ends the connection, in whatever polite form, cannot make it
// look like the end of the conversation.
func TestA15TruncationIsDetected(t *testing.T) {
	for name, end := range map[string]func(a, b *transport.PipeConn){
		"cut":             func(a, _ *transport.PipeConn) { a.Cut() },
		"normal closure":  func(a, _ *transport.PipeConn) { a.Close(transport.CodeNormal, "bye") },
		"going away":      func(a, _ *transport.PipeConn) { a.Close(transport.CodeGoingAway, "") },
		"in our own name": func(_, b *transport.PipeConn) { b.Close(transport.CodeNormal, "") },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := transport.Pipe()
			c, s := establish(t, a, b)
			mustSend(t, c, "one")
			mustReceive(t, s, "one")
			end(a, b)
			err := wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrTruncated}, false)
			var below *transport.CloseError
			if !errors.As(err, &below) {
				t.Errorf("%v hides what the transport knows", err)
			}
		})
	}
	// A hop that keeps the goodbye back and closes politely.
	a, b := transport.Pipe(transport.WithFaults(numbered(3, func([]byte) [][]byte { return nil }), nil))
	c, s := establish(t, a, b)
	c.Close()
	wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrTruncated}, false)
}

// A15, A11: whatever a hop does to a message, its receiver notices at that message,
// keeps what came before, and gets nothing after it.
func TestA15TamperingHopIsNoticed(t *testing.T) {
	var held []byte
	for name, fault := range map[string]func([]byte) [][]byte{
		"drop":     func([]byte) [][]byte { return nil },
		"repeat":   func(m []byte) [][]byte { return [][]byte{m, m} },
		"corrupt":  func(m []byte) [][]byte { m[len(m)/2] ^= 4; return [][]byte{m} },
		"cut":      func(m []byte) [][]byte { return [][]byte{m[:len(m)-1]} },
		"extend":   func(m []byte) [][]byte { return [][]byte{append(m, 0)} },
		"inject":   func(m []byte) [][]byte { return [][]byte{make([]byte, 81), m} },
		"empty":    func(m []byte) [][]byte { return [][]byte{{}, m} },
		"reorder":  func(m []byte) [][]byte { held = m; return nil },
		"new type": func(m []byte) [][]byte { m[0] = 9; return [][]byte{m} },
	} {
		t.Run(name, func(t *testing.T) {
			fault := numbered(4, fault) // after m1, m3 and one message
			if name == "reorder" {
				inner := fault
				fault = func(m []byte) [][]byte {
					out := inner(m)
					if held != nil && len(out) == 1 {
						out, held = append(out, held), nil
					}
					return out
				}
			}
			c, s := over(t, transport.WithFaults(fault, nil))
			mustSend(t, c, "before")
			mustSend(t, c, "changed")
			mustSend(t, c, "after")
			mustReceive(t, s, "before")
			if name == "repeat" {
				mustReceive(t, s, "changed")
			}
			wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrTampered}, false)
			// The sender hears nothing but that the connection ended.
			wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrTruncated}, false)
		})
	}
}

// A11: a hop that sends everything back gets nothing accepted.
func TestA11EchoingHop(t *testing.T) {
	a, b := transport.Pipe()
	go func() {
		for {
			frame, err := b.Read(context.Background(), nil)
			if err != nil {
				return
			}
			b.Write(context.Background(), frame)
		}
	}()
	_, err := e2e.Connect(t.Context(), a, "pipe", trusting(alice, alice))
	wantHandshake(t, err, e2e.ReasonNotAuthentic)
}

// A41: of the words of a conversation none is on the wire.
func TestHopSeesNoPlaintext(t *testing.T) {
	var mu sync.Mutex
	var seen []byte
	tap := func(m []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, m...)
		return [][]byte{m}
	}
	c, s := over(t, transport.WithFaults(tap, tap))
	mustSend(t, c, "the plaintext marker")
	mustReceive(t, s, "the plaintext marker")
	c.Close()
	markers := []string{"plaintext", "test/1", "hopseal"}
	for _, id := range []*keys.Identity{alice, bob} { // not the names: three letters turn up by chance
		b := id.Public().Bytes()
		for i := 0; i+16 <= len(b); i += 16 {
			markers = append(markers, string(b[i:i+16]))
		}
	}
	for _, marker := range markers {
		if bytes.Contains(seen, []byte(marker)) {
			t.Errorf("a hop reads %q", marker)
		}
	}
}

func TestMessageAboveTheLimit(t *testing.T) {
	c, s := over(t)
	err := c.Send(t.Context(), make([]byte, e2e.DefaultMaxMessage+1))
	if !errors.Is(err, e2e.ErrTooLarge) {
		t.Fatal(err)
	}
	mustSend(t, c, "the session goes on")
	mustReceive(t, s, "the session goes on")
}

// A context that had ended before the call costs nothing; one that ends during the
// call costs the session, whose other end learns that something may be missing.
func TestContexts(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	c, s := over(t)
	if err := c.Send(ended, []byte("never")); err != context.Canceled {
		t.Errorf("Send: %v", err)
	}
	if _, err := c.Receive(ended); err != context.Canceled {
		t.Errorf("Receive: %v", err)
	}
	mustSend(t, c, "the session goes on")
	mustReceive(t, s, "the session goes on")

	bubble(t, func(t *testing.T) {
		c, s := over(t, transport.WithBuffer(1))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := c.Receive(ctx)
		var closed *e2e.CloseError
		if !errors.As(err, &closed) || closed.Err != context.DeadlineExceeded || closed.Remote {
			t.Errorf("Receive: %v", err)
		}
		wantEnd(t, c, e2e.CloseError{Err: context.DeadlineExceeded}, false)
		wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrTruncated}, false)
	})
	bubble(t, func(t *testing.T) {
		c, _ := overDeaf(t, transport.WithBuffer(1))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for c.Send(ctx, nil) == nil { // until the connection is full
		}
		wantEnd(t, c, e2e.CloseError{Err: context.DeadlineExceeded}, false)
	})
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		sent := 0
		var err error
		for ; err == nil; sent++ { // until there is no credit: nothing has begun to be written
			err = c.Send(ctx, []byte("hello"))
		}
		if err != context.DeadlineExceeded {
			t.Errorf("Send without credit: %v", err)
		}
		for range sent - 1 {
			mustReceive(t, s, "hello")
		}
		mustSend(t, c, "the session goes on")
		mustReceive(t, s, "the session goes on")
	})
}

// A Send that waits for its turn gives up with its context, and the session stays.
func TestWaitingForATurnCostsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t, transport.WithBuffer(1))
		mustSend(t, c, "fills the pipe")
		go c.Send(context.Background(), []byte("waits in the pipe"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond) // before s reads by itself
		defer cancel()
		if err := c.Send(ctx, []byte("waits for its turn")); err != context.DeadlineExceeded {
			t.Errorf("Send: %v", err)
		}
		mustReceive(t, s, "fills the pipe")
		mustReceive(t, s, "waits in the pipe")
	})
}

// A34: a peer that does not read is cut in a set time; nothing piles up meanwhile.
func TestA34PeerThatNeverReadsIsCut(t *testing.T) {
	bubble(t, func(t *testing.T) { // its application
		c, _ := over(t)
		sent := 0
		for c.Send(context.Background(), nil) == nil {
			sent++
		}
		if most := e2e.DefaultWindow/64 + 1; sent > most {
			t.Errorf("%d messages were taken, at most %d fit", sent, most)
		}
		wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrStalled}, false)
	})
	bubble(t, func(t *testing.T) { // its connection
		c, _ := overDeaf(t, transport.WithBuffer(1))
		start := time.Now()
		sent := 0
		for c.Send(context.Background(), []byte("into the void")) == nil {
			sent++
		}
		if waited := time.Since(start); waited != e2e.DefaultSendTimeout || sent != 1 {
			t.Errorf("cut after %v and %d messages", waited, sent)
		}
		wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrStalled}, false)
	})
	bubble(t, func(t *testing.T) { // a slow reader is not a stalled one
		c, s := over(t, transport.WithBuffer(1))
		var work sync.WaitGroup
		work.Go(func() {
			for range 8 {
				time.Sleep(e2e.DefaultSendTimeout - time.Second)
				s.Receive(context.Background())
			}
		})
		start := time.Now()
		for range 8 { // two of which fill the window
			mustSend(t, c, strings.Repeat("slowly", 100_000))
		}
		if time.Since(start) < 5*time.Minute {
			t.Error("nothing had to wait")
		}
		work.Wait()
	})
}

// Close unblocks everything, at once where the other end reads, and after a bounded
// time where it does not.
func TestCloseUnblocksEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := overDeaf(t, transport.WithBuffer(1))
		mustSend(t, c, "fills the pipe")
		errs := make(chan error, 3)
		go func() { errs <- c.Send(context.Background(), nil) }()
		go func() { errs <- c.Send(context.Background(), nil) }()
		go func() { _, err := c.Receive(context.Background()); errs <- err }()
		synctest.Wait()
		start := time.Now()
		var gap *e2e.GapError
		if err := c.Close(); !errors.As(err, &gap) || gap.Count == 0 {
			t.Errorf("Close with nobody reading: %v", err)
		}
		for range cap(errs) {
			var closed *e2e.CloseError
			if err := <-errs; !errors.As(err, &closed) || closed.Remote || closed.Err != nil {
				t.Errorf("unblocked with %v", err)
			}
		}
		if waited := time.Since(start); waited > 5*time.Second {
			t.Errorf("Close took %v", waited)
		}
	})
}

// A13: a session that is over has no keys left, however it ended and whatever was
// under way.
func TestA13EndedSessionHasNoKeys(t *testing.T) {
	for name, end := range map[string]func(c, s *e2e.Session){
		"closed": func(c, s *e2e.Session) { c.Close(); s.Receive(context.Background()) },
		"truncated": func(c, s *e2e.Session) {
			e2e.ConnOf(c).(*transport.PipeConn).Cut()
			c.Send(context.Background(), nil)
			s.Send(context.Background(), nil)
		},
		"closed while receiving": func(c, s *e2e.Session) {
			go c.Receive(context.Background())
			go s.Receive(context.Background())
			synctest.Wait()
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := over(t)
				end(c, s)
				synctest.Wait()
				for who, session := range map[string]*e2e.Session{"first end": c, "second end": s} {
					if e2e.HasKeys(session) {
						t.Errorf("the %s still has keys", who)
					}
				}
			})
		})
	}
}

// hooked is a Conn that does something after it has read a message.
type hooked struct {
	transport.Conn
	afterRead func()
}

func (h *hooked) Read(ctx context.Context, dst []byte) ([]byte, error) {
	dst, err := h.Conn.Read(ctx, dst)
	h.afterRead()
	return dst, err
}

// After Close has begun, no Receive returns a message.
func TestNoMessageAfterClose(t *testing.T) {
	a, b := transport.Pipe()
	h := &hooked{b, func() {}}
	c, s := establish(t, a, h)
	mustSend(t, c, "too late")
	h.afterRead = func() { s.Close() }
	message, err := s.Receive(t.Context())
	var closed *e2e.CloseError
	if !errors.As(err, &closed) || closed.Remote || message != nil {
		t.Errorf("%q, %v", message, err)
	}
	if e2e.HasKeys(s) {
		t.Error("keys are left")
	}
}

// A42: printing a session or its Config shows no secret.
func TestA42SessionRedactsItself(t *testing.T) {
	c, _ := over(t)
	var out bytes.Buffer
	for _, v := range []any{c, trusting(alice, bob)} {
		fmt.Fprintf(&out, "%v %+v %#v %x %s\n", v, v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("", "v", v)
		json.NewEncoder(&out).Encode(v)
	}
	for _, secret := range e2e.Secrets(c) {
		for _, form := range []string{"%s", "%x", "%X", "%d", "%q"} {
			if strings.Contains(out.String(), strings.Trim(fmt.Sprintf(form, secret), `[]"`)) {
				t.Errorf("a secret is shown as %s:\n%s", form, out.String())
			}
		}
	}
	if !strings.Contains(out.String(), bob.Fingerprint().String()) {
		t.Error("a session does not say whom it is with")
	}
}

// Whom a session is with is one line, whatever they call themselves.
func TestPeersSayWhoTheyAre(t *testing.T) {
	vandal := newIdentity("bob\x1b[2J\n\u202e\"")
	vandal.Public() // as others see it
	quoted := `"bob\x1b[2J\n\u202e\"" ` + vandal.Fingerprint().String()
	a, b := transport.Pipe()
	srv := newServer(t, hosting(vandal, alice), echo)
	served := serve(srv, b)
	c, err := e2e.Connect(t.Context(), a, "pipe", trusting(alice, vandal))
	if err != nil {
		t.Fatal(err)
	}
	peer := c.Peer()
	peer.Claims = "PLANTED"
	for _, test := range []struct {
		v    any
		want string
	}{
		{peer, quoted},
		{&peer, quoted},
		{peer.PublicIdentity, quoted},
		{e2e.Peer{}, "nobody"},
		{c, `e2e.Session("test/1", peer ` + quoted + `)`},
		{srv, `e2e.Server("test/1", ` + quoted + `)`},
	} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "v", slog.AnyValue(test.v))
		quotedAgain, _ := json.Marshal(test.want)
		if got := fmt.Sprintln(test.v); got != test.want+"\n" || fmt.Sprintf("%+v", test.v) != test.want {
			t.Errorf("prints as %s, want %s", got, test.want)
		}
		if _, ok := test.v.(slog.LogValuer); ok && !strings.Contains(log.String(), strings.ReplaceAll(string(quotedAgain), `\u003c`, "<")) {
			t.Errorf("is logged as %s, want %s", log.String(), quotedAgain)
		}
	}
	c.Close()
	<-served
}

func TestCloseErrorTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []*e2e.CloseError{
		{}, {Remote: true}, {Remote: true, Code: e2e.CodeGoingAway}, {Remote: true, Code: e2e.CodeFailed},
		{Remote: true, Code: 77}, {Err: e2e.ErrTampered}, {Err: e2e.ErrTruncated},
	} {
		text := err.Error()
		if seen[text] || !strings.HasPrefix(text, "e2e: ") || strings.Contains(text, "\n") {
			t.Errorf("%+v: %q", *err, text)
		}
		seen[text] = true
	}
}
