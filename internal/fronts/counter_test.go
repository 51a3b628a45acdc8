//go:build unix

package fronts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
)

// A counter is what becomes of numbered messages in one direction.
type counter struct {
	mu                       sync.Mutex
	sent, received           uint64
	last                     uint64 // the highest number that has come
	missing                  map[uint64]bool
	lost, doubled, reordered uint64
}

// came counts a number in.
func (c *counter) came(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received++
	switch {
	case n == c.last+1:
		c.last = n
	case n > c.last:
		for m := c.last + 1; m < n; m++ {
			if c.missing == nil {
				c.missing = map[uint64]bool{}
			}
			c.missing[m] = true
			c.lost++
		}
		c.last = n
	case c.missing[n]:
		delete(c.missing, n)
		c.lost--
		c.reordered++
	default:
		c.doubled++
	}
}

func (c *counter) next() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	return c.sent
}

func (c *counter) figures() (sent, received, lost, doubled, reordered uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.received, c.lost, c.doubled, c.reordered
}

func (c *counter) String() string {
	sent, received, lost, doubled, reordered := c.figures()
	return fmt.Sprintf("%d sent, %d received, %d lost, %d doubled, %d reordered", sent, received, lost, doubled, reordered)
}

// faultless reports whether nothing was lost, doubled or reordered.
func (c *counter) faultless() bool {
	_, _, lost, doubled, reordered := c.figures()
	return lost+doubled+reordered == 0
}

// talk sends numbers until enough is closed, one in pace, and then waits until all have
// arrived. One in a hundred is long, up to so many bytes.
func talk(ctx context.Context, s *e2e.Session, c *counter, pace time.Duration, long int, enough <-chan struct{}) error {
	clock := time.NewTicker(pace)
	defer clock.Stop()
	for {
		n := c.next()
		size := rand.IntN(200)
		if n%100 == 50 {
			size = rand.IntN(long)
		}
		if err := s.Send(ctx, append(binary.BigEndian.AppendUint64(nil, n), make([]byte, size)...)); err != nil {
			return fmt.Errorf("sending message %d: %w", n, err)
		}
		select {
		case <-clock.C:
		case <-enough:
			return s.Flush(ctx)
		}
	}
}

// listen counts what comes until the session ends. It returns nil where the other end
// closed it.
func listen(ctx context.Context, s *e2e.Session, c *counter) error {
	var buf []byte
	for {
		message, err := s.AppendReceive(ctx, buf[:0])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("receiving: %w", err)
		case len(message) < 8:
			return fmt.Errorf("a message of %d bytes", len(message))
		}
		c.came(binary.BigEndian.Uint64(message))
		buf = message
	}
}
