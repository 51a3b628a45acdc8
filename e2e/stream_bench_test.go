//go:build !js

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/hopseal/hopseal/e2e"
)

// BenchmarkStream is one stream over a loopback socket, from its open until all of it was
// read, for streams of several sizes.
func BenchmarkStream(b *testing.B) {
	read := make(chan int64, 1)
	srv := newServer(b, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		for {
			r, err := s.ReceiveStream(ctx)
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, r)
			if err != nil {
				return err
			}
			read <- n
		}
	})
	c := mustDial(b, listen(b, srv))
	for _, size := range []int64{1 << 10, 64 << 10, 1 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if err := c.SendStream(b.Context(), "", io.LimitReader(zeros{}, size), nil); err != nil {
					b.Fatal(err)
				}
				if n := <-read; n != size {
					b.Fatalf("%d of %d bytes", n, size)
				}
			}
		})
	}
}
