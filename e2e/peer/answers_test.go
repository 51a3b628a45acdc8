package peer_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/transport"
)

// A forger is a relay that puts frames of its own in the place of what members send.
type forger struct {
	frame func(head []byte) []byte // behind the kind and the link id

	mu   sync.Mutex
	left int
}

func (f *forger) set(left int) (before int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, f.left = f.left, left
	return before
}

func (f *forger) change(_, _ string, payload []byte) [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 || len(payload) < 17 {
		return [][]byte{payload}
	}
	f.left--
	return [][]byte{f.frame(bytes.Clone(payload[:17]))}
}

func forgeries() map[string]func(head []byte) []byte {
	kind := func(kind byte, body []byte) func([]byte) []byte {
		return func(head []byte) []byte { head[0] = kind; return append(head, body...) }
	}
	all := map[string]func([]byte) []byte{
		"nothing":          func([]byte) []byte { return nil },
		"an empty message": kind(2, nil),
		"garbage":          kind(2, bytes.Repeat([]byte{7}, 500)),
		"a refusal":        kind(2, []byte{0}),
		"a confirm":        kind(4, nil),
		"an open":          kind(1, bytes.Repeat([]byte{7}, 80)),
	}
	for _, code := range []transport.Code{0, 1, 999, 3000, 3003, 4000, 4321, 4999, 65535} {
		all[fmt.Sprint("close ", int(code))] = kind(3, peer.CloseBody(code, "forged"))
	}
	for code := range transport.Code(16) {
		all[fmt.Sprint("close ", 1000+int(code))] = kind(3, peer.CloseBody(1000+code, ""))
	}
	return all
}

// A55: no frame that a relay makes up ends a session between two of its members: in the
// middle of it, while it comes back, and right after that, at either end.
func TestA55NoFrameOfARelayEndsASession(t *testing.T) {
	for name, frame := range forgeries() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := &forger{frame: frame}
				h := newHub()
				h.change = f.change
				a, b := enter(t, h, low, high), enter(t, h, high, low)
				s, err := a.Dial(t.Context(), high.Name())
				if err != nil {
					t.Fatal(err)
				}
				other, err := b.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for n := range 4 {
					f.set(1 + 2*n)
					there, back := fmt.Sprint("there ", n), fmt.Sprint("back ", n)
					if n%2 == 0 {
						mustSend(t, s, there)
						mustReceive(t, other, there)
					}
					mustSend(t, other, back)
					mustReceive(t, s, back)
					time.Sleep(time.Minute)
					if f.set(0) == 1+2*n {
						t.Error("nothing was forged")
					}
				}
			})
		})
	}
}
