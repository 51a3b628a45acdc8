package flow

import (
	"testing"
	"testing/synctest"

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
