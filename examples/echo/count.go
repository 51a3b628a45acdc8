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
	cuts  int // it stops after so many cuts; 0: never

	stop context.CancelFunc // ends the sending

	mu     sync.Mutex // guards what follows
	dialed bool       // there has been a connection
	tally  tally
}

func (c *counting) flags(flags *flag.FlagSet) {
	flags.DurationVar(&c.every, "every", 10*time.Millisecond, "`time` from one message to the next")
	flags.IntVar(&c.cuts, "cuts", 10, "how `many` times to come back before the end; 0: until Ctrl-C")
}

// message is the text that the client sends, and that nobody on the way can read.
const message = "message %d: nobody on the way can read this"

// patience is how long the client waits at the end for answers that are missing.
const patience = 30 * time.Second

// run sends until there have been enough cuts, waits for the missing answers, and prints the figures.
func (c *counting) run(ctx context.Context, out io.Writer, d dialer) error {
	if c.every <= 0 {
		return errors.New("-every: it must be more than 0")
	}
	ctx, c.stop = context.WithCancel(ctx)
	defer c.stop()
	session, err := d.dial(ctx, func(e e2e.Event) { c.report(e, out) })
	if err != nil {
		return err
	}
	arrived, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- c.receive(session, arrived) }()
	err = c.send(ctx, session)
	if err == nil {
		err = c.awaitRest(arrived, ended)
	}
	session.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(out, "\n%s\n", c.tally.summary())
	return err
}

// report prints the figures each time that the client has reconnected.
func (c *counting) report(e e2e.Event, out io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.State != e2e.StateSecure:
		return
	case !c.dialed: // the first connection
		c.dialed = true
		fmt.Fprintf(out, "client: connected; inside the encryption both ends find TLS between them %s\n", e.Session.Info().HopTLS)
		return
	}
	c.tally.reconnects++
	fmt.Fprintln(out, c.tally.line())
	if c.tally.reconnects == c.cuts {
		c.stop()
	}
}

// send sends a message at each tick. While there is no connection, Send waits.
func (c *counting) send(ctx context.Context, session *e2e.Session) error {
	clock := time.NewTicker(c.every)
	defer clock.Stop()
	for n := uint64(1); ctx.Err() == nil; n++ {
		c.update(func(t *tally) { t.sent = n })
		// Without ctx: a message whose sending has begun is sent.
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

// receive takes the answers until the session ends.
func (c *counting) receive(session *e2e.Session, arrived chan<- struct{}) error {
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
		case arrived <- struct{}{}:
		default:
		}
	}
}

// awaitRest waits for the answers that are missing.
func (c *counting) awaitRest(arrived <-chan struct{}, ended <-chan error) error {
	late := time.After(patience)
	for c.missing() {
		select {
		case <-arrived:
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

// A tally counts what happened to the numbered messages.
type tally struct {
	sent, received, doubled uint64
	skipped                 uint64 // numbers passed over so far
	last                    uint64 // the highest number that came back
	reconnects              int
}

// back counts a number that came back. Numbers should come back in order.
func (t *tally) back(n uint64) {
	if n <= t.last {
		t.doubled++ // or late, which must not happen either
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
