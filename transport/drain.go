//go:build !js

package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/sleep"
)

// Live is a handler for a liveness probe. It answers 200 as long as the Gate works.
func (g *Gate) Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock() // a stuck Gate does not answer, and is restarted
		defer g.mu.Unlock()
		answerProbe(w, http.StatusOK, "live\n")
	})
}

// Ready is a handler for a readiness probe. It answers 200, and 503 once the server is going away.
// A full Gate stays ready, because strangers can fill it.
func (g *Gate) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.unready {
			answerProbe(w, http.StatusServiceUnavailable, "going away\n")
			return
		}
		answerProbe(w, http.StatusOK, "ready\n")
	})
}

func answerProbe(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// Withdraw makes Ready answer 503, admits connections for DrainLead longer, and then refuses
// everybody with 503. If ctx ends earlier, Withdraw refuses everybody at once and returns the error
// of ctx. Servers that end their connections in their own way, such as e2e.Server.Shutdown, call
// Withdraw first; others call Drain.
func (g *Gate) Withdraw(ctx context.Context) error {
	g.mu.Lock()
	waiting := !g.closing
	g.unready = true
	g.mu.Unlock()
	var err error
	if waiting {
		err = sleep.For(ctx, g.opts.DrainLead)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		g.closing = true
		if g.held == 0 {
			close(g.drained)
		}
	}
	return err
}

// Drain ends all connections in an orderly way. It calls Withdraw, and closes the open connections
// with CodeRestart, spread over DrainSpread so that the clients do not all come back at once. It
// returns when all have ended. If ctx ends earlier, Drain cuts the remaining connections; the error
// says how many and matches that of ctx.
func (g *Gate) Drain(ctx context.Context) error {
	g.Withdraw(ctx) // if ctx ends here, the rest returns at once
	conns := g.conns()
	for i, c := range conns {
		if i > 0 && sleep.For(ctx, g.opts.DrainSpread/time.Duration(len(conns))) != nil {
			break
		}
		go c.drain()
	}
	select {
	case <-g.drained:
		return nil
	case <-ctx.Done():
	}
	left := g.conns()
	var cuts sync.WaitGroup // in parallel, because TLS may take its time for the last record
	for _, c := range left {
		cuts.Go(c.cut)
	}
	cuts.Wait()
	return fmt.Errorf("transport: drain: %d connections were left, and were cut: %w", len(left), ctx.Err())
}

func (c *wsConn) drain() {
	c.finish(&CloseError{Code: CodeRestart, Reason: "the server is going away", Err: errDrained})
}

// cut ends a connection at once, even if a drain waits for its peer.
func (c *wsConn) cut() {
	c.finish(&CloseError{Code: CodeAbnormal, Err: errDrained})
	c.socket.Close()
}

// conns returns the open connections, in random order.
func (g *Gate) conns() []*wsConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	conns := make([]*wsConn, 0, len(g.open))
	for _, c := range g.open {
		conns = append(conns, c)
	}
	return conns
}
