//go:build !js

package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport"
)

// Over real sockets, whose pings wait behind a long message like the session's own: a piece takes
// longer than the time between two of them.
func TestLongMessageThroughASlowHop(t *testing.T) {
	const keepAlive, piece = time.Second, 1200 * time.Millisecond
	slow := func() hostile.Fault { return hostile.Trickle(8<<10, piece/8) }
	for name, up := range map[string]bool{"up": true, "down": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepted := make(chan *e2e.Session, 1)
			cfg := hosting(bob, alice)
			cfg.KeepAlive, cfg.Accept = keepAlive, &transport.AcceptOptions{KeepAlive: keepAlive}
			srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
				accepted <- s
				<-s.Done()
				return nil
			})
			hop := hostile.Listen(t, listen(t, srv), func(int) hostile.Script {
				return hostile.Script{FromClient: slow(), ToClient: slow()}
			})
			client := trusting(alice, bob)
			client.KeepAlive, client.Dial = keepAlive, &transport.DialOptions{KeepAlive: keepAlive, Sealed: true}
			c := mustDialAs(t, hop.URL(), client)
			from, to := c, <-accepted
			if !up {
				from, to = to, from
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			go from.Send(ctx, pattern(5*64<<10))
			got, err := to.Receive(ctx)
			if string(got) != string(pattern(5*64<<10)) {
				t.Errorf("%d bytes came, %v", len(got), err)
			}
			if links, _ := hop.Links(); links > 3 { // on a loaded machine one or two may be lost
				t.Errorf("it took %d links", links)
			}
		})
	}
}
