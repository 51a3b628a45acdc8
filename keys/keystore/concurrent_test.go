//go:build unix

package keystore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// stuck makes the next write of a store hang until goOn is called.
func stuck(s *Store) (hangs <-chan struct{}, goOn func()) {
	held, free := make(chan struct{}), make(chan struct{})
	first := true // under the store's lock
	s.written = func(step string) {
		if step == "written" && first {
			first = false
			close(held)
			<-free
		}
	}
	return held, sync.OnceFunc(func() { close(free) })
}

// between has a step of a key hang before it takes the store's lock, when others have passed there
// already. A second has passed since the store was made.
func between(s *Store, others int32) (hangs <-chan struct{}, goOn func()) {
	held, free := make(chan struct{}), make(chan struct{})
	var passed atomic.Int32
	s.clock = func() time.Time {
		if s.mu.TryLock() {
			s.mu.Unlock()
			if passed.Add(1) == others+1 {
				close(held)
				<-free
			}
		}
		return time.Now().Add(2 * time.Second)
	}
	return held, sync.OnceFunc(func() { close(free) })
}

// TestRotationsTakeTurns rotates twice at the same time, as Run and the command may: one key is made.
func TestRotationsTakeTurns(t *testing.T) {
	s, c := served(t)
	hangs, goOn := between(s, 0)
	defer goOn()
	p := RotationPolicy{Age: time.Nanosecond, Lead: time.Hour}
	done := make(chan error)
	rotate := func() { _, err := s.Rotate(p); done <- err }
	go rotate()
	<-hangs // it has found that a key is due, and has not made it
	others := []func(){
		rotate,
		func() { _, _, err := c.Rotate(context.Background(), &p); done <- err },
		rotate,
	}
	for _, f := range others {
		go f()
	}
	time.Sleep(20 * time.Millisecond) // for them to find it as well, if nothing keeps them
	goOn()
	for range len(others) + 1 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, use := range []keys.Use{keys.UseSigning, keys.UseSealing} {
		if n := len(s.keys(KeyRef{Use: use})); n != 2 {
			t.Errorf("%d %v keys", n, use)
		}
	}
}

// TestReplaceIsOneChange shows that no rotation comes between the steps of a Replace.
func TestReplaceIsOneChange(t *testing.T) {
	cheap(t)
	s, _ := newStore(t)
	hangs, goOn := between(s, 1) // which is in front of the second step
	defer goOn()
	done := make(chan error)
	go func() { _, err := s.Replace(KeyRef{Use: keys.UseSigning}); done <- err }()
	<-hangs
	go func() { _, err := s.Rotate(RotationPolicy{}); done <- err }() // which promotes what is pending
	time.Sleep(20 * time.Millisecond)
	goOn()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestARequestBehindAWriteThatHangs shows that a request that waited too long is not begun later: neither
// after the writer has refused it, nor after its client has given up, nor after the writer has stopped.
func TestARequestBehindAWriteThatHangs(t *testing.T) {
	bob := testIdentity(t, "bob")
	for name, want := range map[string]error{"too long": ErrWriterBusy, "the client leaves": ErrNoAnswer, "the writer leaves": ErrWriterBusy} {
		t.Run(name, func(t *testing.T) {
			cheap(t)
			s, path := newStore(t)
			var w *controlServer
			stop := serving(t, s, func(its *controlServer) {
				if w = its; name == "too long" {
					w.patience = 20 * time.Millisecond
				}
			})
			c := newClient(t, path)
			var frames atomic.Int32
			c.tap = func(conn net.Conn) net.Conn { return &countedFrames{conn, &frames} }
			ctx, cancel := context.WithCancel(t.Context())
			generation := s.contents.generation
			hangs, goOn := stuck(s)
			defer goOn()
			own, asked := make(chan error), make(chan error)
			go func() { own <- s.Renew() }()
			<-hangs
			requests := []func() error{
				func() error { return c.Admit(ctx, trust.Expected{Role: trust.RoleClient}, bob.Public()) },
				func() error { return c.Renew(ctx) },
				func() error { _, _, err := c.Rotate(ctx, nil); return err },
			}
			for _, f := range requests {
				go func() { asked <- f() }()
			}
			for int(frames.Load()) < 2*len(requests) { // a hello and a request each
				time.Sleep(time.Millisecond)
			}
			switch name {
			case "the client leaves":
				cancel()
			case "the writer leaves":
				stop()
			}
			for range requests {
				if err := <-asked; !errors.Is(err, want) && (name != "the writer leaves" || !errors.Is(err, ErrNoAnswer)) {
					t.Error(err)
				}
			}
			for i := 0; len(w.slots) > 1; i++ { // one is for whoever comes next
				if i == 10_000 {
					t.Fatal("the writer does not notice that nobody waits")
				}
				time.Sleep(time.Millisecond)
			}
			goOn()
			if err := <-own; err != nil || s.contents.generation != generation+1 {
				t.Errorf("%d changes, %v", s.contents.generation-generation, err)
			}
			cancel()
		})
	}
}

// countedFrames counts what a client has sent.
type countedFrames struct {
	net.Conn
	n *atomic.Int32
}

func (c *countedFrames) Write(b []byte) (int, error) {
	defer c.n.Add(1)
	return c.Conn.Write(b)
}

// TestTwoRuns shows that requests follow the policy of one of two Runs, as long as one is under way.
func TestTwoRuns(t *testing.T) {
	s, c := served(t)
	ctx := t.Context()
	first := s.serveBeside(ctx, RotationPolicy{NoRequests: true}, nil)
	second := s.serveBeside(ctx, RotationPolicy{NoRequests: true}, nil)
	first()
	if _, _, err := c.Rotate(ctx, &DefaultRotation); !errors.Is(err, ErrOtherPolicy) {
		t.Error(err)
	}
	second()
	if _, _, err := c.Rotate(ctx, &DefaultRotation); err != nil {
		t.Error(err)
	}
}

// TestEveryReasonGetsThrough shows that a client's error has each reason for which a peer is not trusted, and
// matches each error that callers branch on.
func TestEveryReasonGetsThrough(t *testing.T) {
	for reason := trust.Reason(1); reason <= trustReasons; reason++ {
		a, err := parseAnswer(answerOf(&trust.Error{Reason: reason}).append(nil))
		got, ok := errors.AsType[*trust.Error](a.err(request{}))
		if err != nil || !ok || got.Reason != reason || unnamed(reason) {
			t.Errorf("%v: %v, %v", reason, err, got)
		}
	}
	if next := trust.Reason(trustReasons + 1); !unnamed(next) {
		t.Errorf("there is a reason %v, which does not get through", next)
	}
	for code, known := range codes {
		if known == nil {
			continue
		}
		a, err := parseAnswer(answerOf(known).append(nil))
		if err != nil || !errors.Is(a.err(request{}), known) {
			t.Errorf("%d: %v, %v", code, err, a.err(request{}))
		}
	}
}

func unnamed(r trust.Reason) bool { return r.String() == fmt.Sprintf("trust.Reason(%d)", int(r)) }

// TestAPeerFromTheFuture shows that a statement from the future is refused with that reason.
func TestAPeerFromTheFuture(t *testing.T) {
	_, c := served(t)
	bob := testIdentity(t, "bob")
	later, err := identities.Renewed(bob, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	err = c.Admit(t.Context(), trust.Expected{Role: trust.RoleClient}, later.Public())
	if got, ok := errors.AsType[*trust.Error](err); !ok || got.Reason != trust.NotYetValid {
		t.Error(err)
	}
}

// TestAChangeThatCannotBeRead breaks reading the store after a change: the error says that the change was made.
func TestAChangeThatCannotBeRead(t *testing.T) {
	s, c := served(t)
	generation := s.contents.generation
	s.written = func(step string) {
		if step == "renamed" {
			os.Chmod(s.path, 0o644)
		}
	}
	err := c.Renew(t.Context())
	if !errors.Is(err, ErrPermissions) || !strings.Contains(err.Error(), "the change was made") || s.contents.generation != generation+1 {
		t.Error(err)
	}
}
