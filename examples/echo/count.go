//go:build !js

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
)

// A counting client sends numbered messages, whatever becomes of its connection, and
// counts what comes back.
type counting struct {
	every time.Duration
	cuts  int // after as many it stops; 0: never

	enough context.CancelFunc // ends the sending

	mu    sync.Mutex // guards what follows
	met   bool       // there has been a connection
	tally tally
}

func (c *counting) flags(flags *flag.FlagSet) {
	flags.DurationVar(&c.every, "every", 10*time.Millisecond, "`time` from one message to the next")
	flags.IntVar(&c.cuts, "cuts", 10, "how `many` times to come back before the end; 0: until Ctrl-C")
}

// message is what the client says, and what nobody on the way reads.
const message = "message %d: nobody on the way can read this"

// patience is how long the client waits in the end for what is not back yet.
const patience = 30 * time.Second

// run sends until it is enough, waits for the rest, and prints the figures.
func (c *counting) run(ctx context.Context, out io.Writer, d dialer) error {
	if c.every <= 0 {
		return errors.New("-every: it must be more than 0")
	}
	ctx, c.enough = context.WithCancel(ctx)
	defer c.enough()
	session, err := d.dial(ctx, func(e e2e.Event) { c.told(e, out) })
	if err != nil {
		return err
	}
	news, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- c.receive(session, news) }()
	err = c.send(ctx, session)
	if err == nil {
		err = c.rest(news, ended)
	}
	session.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(out, "\n%s\n", c.tally.summary())
	return err
}

// told prints the figures each time that the client has come back.
func (c *counting) told(e e2e.Event, out io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.State != e2e.StateSecure:
		return
	case !c.met: // the first connection
		c.met = true
		fmt.Fprintf(out, "client: connected; inside the encryption both ends find TLS between them %s\n", e.Session.Info().HopTLS)
		return
	}
	c.tally.reconnects++
	fmt.Fprintln(out, c.tally.line())
	if c.tally.reconnects == c.cuts {
		c.enough()
	}
}

// send sends a message from time to time. While there is no connection Send waits.
func (c *counting) send(ctx context.Context, session *e2e.Session) error {
	clock := time.NewTicker(c.every)
	defer clock.Stop()
	for n := uint64(1); ctx.Err() == nil; n++ {
		c.update(func(t *tally) { t.sent = n })
		// Not ctx: what is begun is finished.
		if err := session.Send(context.WithoutCancel(ctx), fmt.Appendf(nil, message, n)); err != nil {
			return err
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// receive takes what comes back until the session ends.
func (c *counting) receive(session *e2e.Session, news chan<- struct{}) error {
	for {
		reply, err := session.Receive(context.Background())
		if err != nil {
			return err
		}
		var n uint64
		if _, err := fmt.Sscanf(string(reply), message, &n); err != nil {
			return fmt.Errorf("nobody sent %.100q", reply)
		}
		c.update(func(t *tally) { t.back(n) })
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// rest waits for what is not back yet.
func (c *counting) rest(news <-chan struct{}, ended <-chan error) error {
	late := time.After(patience)
	for c.missing() {
		select {
		case <-news:
		case err := <-ended:
			return err
		case <-late:
			return errors.New("not all has come back")
		}
	}
	return nil
}

func (c *counting) missing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.received < c.tally.sent
}

func (c *counting) update(change func(*tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.tally)
}

// A tally is what has become of the numbered messages.
type tally struct {
	sent, received, doubled uint64
	skipped                 uint64 // numbers passed over so far
	last                    uint64 // the highest number that is back
	reconnects              int
}

// back counts a number in. Numbers should come in their order.
func (t *tally) back(n uint64) {
	if n <= t.last {
		t.doubled++ // or late, which ought not to be either
		return
	}
	t.skipped += n - t.last - 1
	t.received++
	t.last = n
}

func (t *tally) line() string {
	return fmt.Sprintf("client: connected again; so far %d sent, %d received, %d lost, %d doubled, %d reconnects",
		t.sent, t.received, t.skipped, t.doubled, t.reconnects)
}

func (t *tally) summary() string {
	return fmt.Sprintf("sent %d, received %d, lost %d, doubled %d, reconnects %d",
		t.sent, t.received, t.sent-t.received, t.doubled, t.reconnects)
}
