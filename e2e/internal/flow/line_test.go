package flow

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/transport"
)

// A connection that becomes the session's while the next one is on its way is closed when
// that takes its place: else it would be read from, in vain, for as long as it lasts.
func TestOvertakenConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pair(t)
		old := c.Line().Conn
		next, far := transport.Pipe()
		defer far.Cut()
		if c.overtake(&Line{Conn: next, Link: c.engine.Link(), gone: make(chan struct{})}) {
			c.leave(&c.send)
		}
		synctest.Wait()
		if err := old.Write(t.Context(), nil); err == nil {
			t.Error("the old connection is open")
		}
		c.Close(fault.CodeDone)
		s.Close(fault.CodeDone)
	})
}

// A flow that survives its lines tells its user of one that is lost, once, and a message waits for
// the next one until its context ends. One that does not survive ends.
func TestLostLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pair(t)
		c.Survive()
		mustSend(t, c, "before")
		mustReceive(t, s, "before")
		c.Line().Conn.(*transport.PipeConn).Cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// Whether the message is numbered before the loss is noticed is a matter of time.
		if err := c.Submit(ctx, &Outgoing{Body: []byte("behind")}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit: %v", err)
		}
		if err := c.Linked(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Linked: %v", err)
		}
		if n := c.user.(*bystander).lost.Load(); n != 1 || c.Over() || c.Line() != nil {
			t.Errorf("lost %d times, over: %v, line: %v", n, c.Over(), c.Line())
		}
		var m Incoming
		if _, err := s.Receive(t.Context(), nil, true, &m); !errors.Is(err, fault.ErrTruncated) || !s.Over() {
			t.Errorf("the end that does not survive: %v", err)
		}
		c.Close(fault.CodeDone)
	})
}
