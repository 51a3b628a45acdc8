package peer_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/transport"
)

// A55: a relay, or somebody who has taken a name, answers a Dial with a time to wait. An honest
// member asks for two seconds at most, so nobody waits for longer because of one frame.
func TestA55ATimeToWaitDoesNotHoldUpADial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &forger{frame: func(head []byte) []byte {
			head[0] = 3
			return append(head, peer.CloseBody(transport.CodeTryLater, transport.WaitReason(24*time.Hour, "never"))...)
		}}
		h := newHub()
		h.change = func(from, to string, payload []byte) [][]byte {
			if from == high.Name() && bytes.HasPrefix(payload, []byte{2}) { // it answers
				return f.change(from, to, payload)
			}
			return [][]byte{payload}
		}
		a, _ := enter(t, h, low, high), enter(t, h, high, low)
		f.set(1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s, err := a.Dial(ctx, high.Name())
		if err != nil {
			t.Fatal(err)
		}
		if f.set(0) != 0 {
			t.Error("nothing was forged")
		}
		s.Close()
	})
}
