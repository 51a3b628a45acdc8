//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport"
)

// said is what the client says over a hostile hop, and the server says back.
func said() (out []string) {
	rng := rand.New(rand.NewPCG(3, 5))
	for i := range 12 {
		out = append(out, fmt.Sprint(i, " ", strings.Repeat("word ", rng.IntN(600))))
	}
	return out
}

// A listener is a server that remembers what came in each session, and how that
// ended.
type listener struct {
	mu    sync.Mutex
	heard [][]string
	ends  []error
}

func (l *listener) handle(ctx context.Context, s *e2e.Session) error {
	var heard []string
	for {
		message, err := s.Receive(ctx)
		if err == nil {
			heard = append(heard, string(message))
			err = s.Send(ctx, message)
		}
		if err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.heard, l.ends = append(l.heard, heard), append(l.ends, err)
			return err
		}
	}
}

// converse makes a session through a hop and says everything. It returns what came
// back and the error that ended it, or nil if all went well.
func converse(t *testing.T, url string) (back []string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	cfg := once(trusting(alice, bob))
	cfg.Dial = &transport.DialOptions{KeepAlive: 100 * time.Millisecond}
	cfg.HandshakeTimeout, cfg.SendTimeout = time.Second, time.Second
	c, err := e2e.Dial(ctx, url, cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		for _, message := range said() {
			if err := c.Send(t.Context(), []byte(message)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range said() {
		message, err := c.Receive(t.Context())
		if err != nil {
			<-sent
			return back, err
		}
		back = append(back, string(message))
	}
	if err := <-sent; err != nil {
		return back, err
	}
	return back, c.Close()
}

// through runs a session through a hop that does one thing to one direction, and
// checks what must hold whatever it is: nothing but a beginning of what was said
// arrives anywhere, and where it is not all of it, both ends learn so by a typed
// error.
func through(t *testing.T, script hostile.Script) (serverEnds []error, clientErr error) {
	t.Helper()
	var l listener
	cfg := once(hosting(bob, alice))
	cfg.Accept = &transport.AcceptOptions{KeepAlive: 100 * time.Millisecond}
	cfg.HandshakeTimeout, cfg.SendTimeout = time.Second, time.Second
	srv := newServer(t, cfg, l.handle)
	hop := hostile.Listen(t, listen(t, srv), func(int) hostile.Script { return script })
	back, err := converse(t, hop.URL())
	hop.Close()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	all := strings.Join(said(), "\n")
	for where, got := range map[string][][]string{"the client": {back}, "the server": l.heard} {
		for _, got := range got {
			if !strings.HasPrefix(all+"\n", strings.Join(append(got, ""), "\n")) {
				t.Errorf("%s got what nobody said: %.200q", where, got)
			}
		}
	}
	if err == nil && len(back) != len(said()) {
		t.Errorf("%d messages came back and nobody says why", len(back))
	}
	if !typed(err) {
		t.Errorf("the client's error is %T: %v", err, err)
	}
	for _, end := range l.ends {
		if !typed(end) {
			t.Errorf("the server's error is %T: %v", end, end)
		}
	}
	return l.ends, err
}

// typed reports whether err is one that the documentation names. The end of a
// session is not taken for an orderly one.
func typed(err error) bool {
	var dial *transport.DialError
	var closed *e2e.CloseError
	var handshake *e2e.HandshakeError
	switch {
	case err == nil, errors.As(err, &handshake), errors.As(err, &dial):
		return true
	case errors.As(err, &closed):
		return errors.Is(err, net.ErrClosed)
	}
	return false
}

// both directions of a hop
func inBoth(t *testing.T, name string, make func() hostile.Fault, script func(fromClient, toClient hostile.Fault) hostile.Script, check func(t *testing.T, script hostile.Script)) {
	t.Run(name+" from the client", func(t *testing.T) {
		t.Parallel()
		check(t, script(make(), nil))
	})
	t.Run(name+" to the client", func(t *testing.T) {
		t.Parallel()
		check(t, script(nil, make()))
	})
}

// A15: what a hop does to messages, whichever and when, is noticed.
func TestA15HostileHopOnMessages(t *testing.T) {
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
	for name, fault := range map[string]func() hostile.Fault{
		"drop":     func() hostile.Fault { return hostile.Drop },
		"repeat":   func() hostile.Fault { return hostile.Repeat },
		"truncate": func() hostile.Fault { return hostile.Truncate },
		"extend":   func() hostile.Fault { return hostile.Extend },
		"flip":     func() hostile.Fault { return hostile.Flip },
		"corrupt":  func() hostile.Fault { return hostile.Corrupt(rng()) },
		"invent":   func() hostile.Fault { return hostile.Invent(make([]byte, 81)) },
		"echo":     func() hostile.Fault { return hostile.Echo },
		"cut":      func() hostile.Fault { return hostile.Cut },
		"within":   func() hostile.Fault { return hostile.CutWithin },
		"reset":    func() hostile.Fault { return hostile.Reset },
		"stall":    func() hostile.Fault { return hostile.Stall },
		"half":     func() hostile.Fault { return hostile.StallWithin },
		"after":    func() hostile.Fault { return cutAfter },
	} {
		for _, nth := range []int{1, 2, 3, 7} { // in the handshake and after it
			nthOnly := func() hostile.Fault { return hostile.Nth(nth, fault()) }
			inBoth(t, fmt.Sprint(name, " ", nth), nthOnly, hostile.Frames, func(t *testing.T, script hostile.Script) {
				if _, err := through(t, script); err == nil {
					t.Error("nobody noticed")
				}
			})
		}
	}
	for name, fault := range map[string]func() hostile.Fault{
		"reorder": func() hostile.Fault { return hostile.FromNth(4, hostile.Reorder(3, rng())) },
		"replay":  func() hostile.Fault { return hostile.FromNth(4, hostile.Replay()) },
		"half":    func() hostile.Fault { return hostile.FromNth(4, hostile.Sometimes(2, rng(), hostile.Drop)) },
	} {
		inBoth(t, name, fault, hostile.Frames, func(t *testing.T, script hostile.Script) {
			if _, err := through(t, script); err == nil {
				t.Error("nobody noticed")
			}
		})
	}
}

// cutAfter ends the link where both ends may think that nothing is missing.
func cutAfter(p hostile.Path, piece []byte) {
	p.Send(piece)
	p.Cut()
}

// A15: messages of one session do not fit into another one of the same two ends.
func TestA15SplicedSessions(t *testing.T) {
	var l listener
	srv := newServer(t, once(hosting(bob, alice)), l.handle)
	splice, kept := hostile.Splice(), make(chan struct{}, 10)
	hop := hostile.Listen(t, listen(t, srv), func(int) hostile.Script {
		return hostile.Frames(hostile.FromNth(3, func(p hostile.Path, message []byte) { // after m1 and m3
			splice(p, message)
			kept <- struct{}{}
		}), nil)
	})
	cfg := once(trusting(alice, bob))
	first, second := mustDialAs(t, hop.URL(), cfg), mustDialAs(t, hop.URL(), cfg)
	mustSend(t, first, "of the first")
	<-kept
	mustSend(t, second, "of the second") // what arrives in its place is the other one
	got, err := second.Receive(t.Context())
	var closed *e2e.CloseError
	if !errors.As(err, &closed) || !errors.Is(err, e2e.ErrTruncated) {
		t.Fatalf("%q, %v", got, err)
	}
	hop.CutAll()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if len(l.heard) != 2 || l.heard[0] != nil || l.heard[1] != nil {
		t.Errorf("the server took %q", l.heard)
	}
}

// A15: the same for bytes, at places in the HTTP handshake, in that of the session,
// and after.
func TestA15HostileHopOnBytes(t *testing.T) {
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(2, 2)) }
	for name, fault := range map[string]func() hostile.Fault{
		"drop":    func() hostile.Fault { return hostile.Drop },
		"repeat":  func() hostile.Fault { return hostile.Repeat },
		"corrupt": func() hostile.Fault { return hostile.Corrupt(rng()) },
		"invent":  func() hostile.Fault { return hostile.Invent([]byte("\x82\x00")) },
		"echo":    func() hostile.Fault { return hostile.Echo },
		"cut":     func() hostile.Fault { return hostile.Cut },
		"reset":   func() hostile.Fault { return hostile.Reset },
		"stall":   func() hostile.Fault { return hostile.Stall },
	} {
		for _, offset := range []int{20, 170, 1000, 4000, 9000} {
			at := func() hostile.Fault { return hostile.At(offset, 3, fault()) }
			bytes := func(a, b hostile.Fault) hostile.Script { return hostile.Script{FromClient: a, ToClient: b} }
			inBoth(t, fmt.Sprint(name, " at ", offset), at, bytes, func(t *testing.T, script hostile.Script) {
				_, err := through(t, script)
				if err == nil && offset > 1000 {
					t.Error("nobody noticed") // before, it may be some header's text
				}
			})
		}
	}
}

// What only takes its time is survived.
func TestSlowHop(t *testing.T) {
	bytes := func(a, b hostile.Fault) hostile.Script { return hostile.Script{FromClient: a, ToClient: b} }
	for name, fault := range map[string]func() hostile.Fault{
		"nothing": func() hostile.Fault { return hostile.Pass },
		"trickle": func() hostile.Fault { return hostile.Trickle(500, 100*time.Microsecond) },
		"delay":   func() hostile.Fault { return hostile.Delay(time.Millisecond) },
	} {
		inBoth(t, name, fault, bytes, func(t *testing.T, script hostile.Script) {
			if ends, err := through(t, script); err != nil {
				t.Errorf("ended with %v, at the server with %v", err, ends)
			}
		})
	}
}
