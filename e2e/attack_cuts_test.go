package e2e_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport/redial"
)

// withQuickCuts makes an end notice soon that its link is dead, and come back soon, as
// long as there is somebody to come back to.
func withQuickCuts[C anyConfig](cfg C) C {
	if client, ok := any(&cfg).(*e2e.Config); ok {
		client.Retry = redial.Policy{Base: time.Millisecond, Cap: 20 * time.Millisecond, Stable: time.Millisecond, MaxTime: time.Minute}
	}
	o := options(&cfg)
	o.Window = 128 << 10 // little to send again
	o.HandshakeTimeout, o.KeepAlive = 500*time.Millisecond, 100*time.Millisecond
	return cfg
}

// lastMessage marks the number of the last message of a direction.
const lastMessage = 1 << 63

// A tally is one end of a soak: it sends numbered messages and checks those that come.
type tally struct {
	sent, received atomic.Uint64
	all            atomic.Bool // has been received
}

// send goes on until enough says so, and is done when all has arrived. Sizes are mostly
// small, sometimes larger than a link takes at once.
func (y *tally) send(s *e2e.Session, rng *rand.Rand, enough func(n uint64) bool) error {
	for n, last := uint64(1), false; !last; n++ {
		number := n
		if last = enough(n); last {
			number |= lastMessage
		}
		size := rng.IntN(300)
		if rng.IntN(1000) == 0 {
			size = rng.IntN(200_000)
		}
		message := append(binary.BigEndian.AppendUint64(nil, number), make([]byte, size)...)
		if err := s.Send(context.Background(), message); err != nil {
			return fmt.Errorf("sending message %d: %w", n, err)
		}
		y.sent.Store(n)
	}
	// The other end may close once it has all, without another ack.
	if err := s.Flush(context.Background()); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// receive takes messages up to the last one. The next one is the only one that may come.
func (y *tally) receive(s *e2e.Session) error {
	var buf []byte
	for {
		message, err := s.AppendReceive(context.Background(), buf[:0])
		if err != nil {
			return fmt.Errorf("receiving message %d: %w", y.received.Load()+1, err)
		}
		n := binary.BigEndian.Uint64(message)
		if want := y.received.Add(1); n&^lastMessage != want {
			return fmt.Errorf("message %d came in the place of %d", n&^lastMessage, want)
		}
		if n&lastMessage != 0 {
			y.all.Store(true)
			return nil
		}
		buf = message
	}
}

// both sends and receives at the same time.
func (y *tally) both(t testing.TB, s *e2e.Session, seed uint64, enough func(n uint64) bool) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- y.send(s, rand.New(rand.NewPCG(7, seed)), enough) }()
	if err := y.receive(s); err != nil {
		t.Error(err)
		s.Close()
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// asLongAs returns for how long a client sends: as many messages as are wanted, and
// until it has all of the server's, which sees how many links there were.
func (y *tally) asLongAs(messages uint64) func(n uint64) bool {
	return func(n uint64) bool { return n > messages && y.all.Load() }
}
