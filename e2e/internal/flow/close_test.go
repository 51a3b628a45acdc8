package flow

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/transport"
)

// A session that is over leaves what is due: with nobody to write it, looking after
// it again and again would never end.
func TestEndedSessionLeavesWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pair(t)
		mustSend(t, c, "hello")
		mustReceive(t, s, "hello")
		// The session ends, and has not hung up yet, while a message is written and a control
		// record is due.
		c.send.turn <- struct{}{}
		c.engine.Ask()
		c.end(&fault.CloseError{Code: fault.CodeGoingAway})
		c.leaveSend()
		synctest.Wait()
		c.hangUp(transport.CodeNormal)
		s.Close(fault.CodeDone)
	})
}

// A Receive that returns while Close is at work does not take the goodbye's key.
func TestGoodbyeSurvivesReceive(t *testing.T) {
	c, s := pair(t)
	// The session is over, its goodbye is not yet sealed, and a Receive finds out and leaves.
	c.end(&fault.CloseError{Code: fault.CodeGoingAway})
	c.recv.turn <- struct{}{}
	c.leave(&c.recv)
	if err := c.sayGoodbye(fault.CodeGoingAway); err != nil {
		t.Errorf("the goodbye: %v", err)
	}
	c.hangUp(transport.CodeNormal)
	var m Incoming
	_, err := s.Receive(t.Context(), nil, true, &m)
	end := new(fault.CloseError)
	if !errors.As(err, &end) || !end.Remote || end.Code != fault.CodeGoingAway {
		t.Errorf("the peer: %v", err)
	}
	if hasKeys(c) || hasKeys(s) {
		t.Error("keys are left")
	}
}
