package e2e_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

// A dial function that hangs, whatever its context says, holds neither the first Dial up nor a
// session that comes back. What it makes too late is closed.
func TestA58DialFunctionThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, b := transport.Pipe()
		release := make(chan struct{})
		began := time.Now()
		_, err := e2e.DialFunc(ctx, "road", trusting(alice, bob), func(context.Context) (transport.Conn, error) {
			<-release
			return a, nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		close(release)
		if _, err := b.Read(t.Context(), nil); err == nil {
			t.Error("the connection that came too late is open")
		}
	})
}

func TestA58ComebackOutlastsADialThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, hosting(bob, alice), echo)
		var dials atomic.Int32
		hangs := make(chan struct{})
		defer close(hangs)
		var first transport.Conn
		s, err := e2e.DialFunc(t.Context(), "road", trusting(alice, bob), func(context.Context) (transport.Conn, error) {
			if dials.Add(1) == 2 {
				<-hangs
			}
			a, b := transport.Pipe()
			if first == nil {
				first = b
			}
			go srv.ServeConn(context.Background(), b)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		mustSend(t, s, "one")
		mustReceive(t, s, "one")
		first.Close(transport.CodeGoingAway, "")
		mustSend(t, s, "two") // waits for the third dial
		mustReceive(t, s, "two")
		if n := dials.Load(); n != 3 {
			t.Errorf("%d dials", n)
		}
	})
}
