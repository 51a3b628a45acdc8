//go:build !race

package e2e_test

import (
	"context"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

// Sending and receiving bare messages takes no memory but what the connection does.
func TestBareMessagesTakeNoMemory(t *testing.T) {
	ctx := context.Background()
	message, dst := make([]byte, 1000), make([]byte, 0, 2000)
	echo := func(send func() error, receive func() ([]byte, error)) float64 {
		each := func() {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			if _, err := receive(); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			each()
		}
		return testing.AllocsPerRun(2000, each)
	}
	a, b := transport.Pipe()
	defer a.Cut()
	c, s := over(t)
	below := echo(func() error { return a.Write(ctx, message) }, func() ([]byte, error) { return b.Read(ctx, dst) })
	n := echo(func() error { return c.Send(ctx, message) }, func() ([]byte, error) { return s.AppendReceive(ctx, dst) })
	if n > below {
		t.Errorf("%v allocations, the pipe alone makes %v", n, below)
	}
}
