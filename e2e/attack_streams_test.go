package e2e_test

import (
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/engine"
)

// A message of a stream that no honest end sends ends the session. Package streams tests which
// these are.
func TestStreamsOfAHostilePeerEndTheSession(t *testing.T) {
	for name, header := range map[string]engine.Header{
		"a piece of no stream":            {Kind: engine.KindStreamPiece, Answers: 1},
		"a credit for no stream":          {Kind: engine.KindStreamCredit, Answers: 1},
		"a cancel of what was never sent": {Kind: engine.KindStreamCancel, Answers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hostile, s := over(t)
				if err := e2e.SendRaw(hostile, append(header.Append(nil), make([]byte, 8)...)); err != nil {
					t.Fatal(err)
				}
				select {
				case <-s.Done(): // the session reads by itself
				case <-time.After(time.Minute):
					t.Fatal("the session goes on")
				}
				if _, err := s.ReceiveStream(t.Context()); err == nil {
					t.Error("a stream came")
				}
				wantEnd(t, s, e2e.CloseError{Remote: true, Err: e2e.ErrMisbehaved}, false)
			})
		})
	}
}
