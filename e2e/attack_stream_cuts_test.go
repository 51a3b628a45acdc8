//go:build !js

package e2e_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport/redial"
)

// A stream comes complete over a link that is cut again and again.
func TestStreamsSurviveCuts(t *testing.T) {
	const cuts = 20
	file := randomBytes(4, 3<<20)
	scfg, ccfg := hosting(bob, alice), trusting(alice, bob)
	ccfg.Retry = redial.Policy{Base: time.Millisecond, Cap: 20 * time.Millisecond}
	got := make(chan []byte, 1)
	srv := newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
		r, err := s.ReceiveStream(ctx)
		if err != nil {
			return err
		}
		all, err := io.ReadAll(r)
		got <- all
		if err == nil {
			_, err = s.Receive(ctx)
		}
		return err
	})
	hop := hostile.Listen(t, listen(t, srv), func(n int) hostile.Script {
		if n < cuts {
			return hostile.Frames(hostile.FromNth(4, hostile.CutWithin), nil)
		}
		return hostile.Script{}
	})
	c := mustDialAs(t, hop.URL(), ccfg)
	var arrived int64
	err := c.SendStream(t.Context(), "file", bytes.NewReader(file), &e2e.StreamOptions{Progress: func(n int64) { arrived = n }})
	if err != nil {
		t.Fatal(err)
	}
	if all := <-got; !bytes.Equal(all, file) || arrived != int64(len(file)) {
		t.Errorf("%d of %d bytes, %d known to have arrived", len(all), len(file), arrived)
	}
	if links, _ := hop.Links(); links < cuts {
		t.Errorf("%d links only", links)
	}
}
