package streams_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/streams"
)

// Both ends give streams up at random, and everything that is not given up arrives.
func TestStreamsGivenUpAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := join(t)
		var all sync.WaitGroup
		pause := func() { time.Sleep(rand.N(3 * time.Millisecond)) }
		for range 200 {
			all.Go(func() {
				pause()
				w := mustOpen(t, near)
				if rand.IntN(2) == 0 {
					time.AfterFunc(rand.N(5*time.Millisecond), w.Abort)
				}
				for range 10 {
					pause()
					if _, err := w.Write(make([]byte, rand.IntN(100_000))); err != nil {
						break
					}
				}
				w.Finish()
				w.Abort()
			})
		}
		var readers sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		readers.Go(func() {
			for {
				r, err := far.Accept(ctx)
				if err != nil {
					return
				}
				readers.Go(func() {
					defer r.Close()
					if rand.IntN(2) == 0 {
						pause()
						return
					}
					if _, err := io.Copy(io.Discard, r); err != nil && !errors.As(err, new(*fault.StreamError)) {
						t.Errorf("Read: %v", err)
					}
				})
			}
		})
		all.Wait()
		synctest.Wait()
		cancel()
		readers.Wait()
		go near.Send(t.Context(), "", strings.NewReader("the last one"), nil)
		if got, err := io.ReadAll(mustAccept(t, far)); err != nil || string(got) != "the last one" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// What a stream was given ahead arrives with it, and Progress grows up to its size.
func TestStreamsTellTheirProgress(t *testing.T) {
	near, far := join(t)
	for _, size := range []int{0, 1, 64<<10 - 129, 64<<10 - 128, 64<<10 - 127, 64 << 10, 1<<20 + 3} {
		sent := randomBytes(1, size)
		var arrived []int64
		done := make(chan error, 1)
		go func() {
			done <- near.Send(t.Context(), "file", bytes.NewReader(sent), &streams.Options{
				Data:     []byte("a name"),
				Progress: func(n int64) { arrived = append(arrived, n) },
			})
		}()
		r := mustAccept(t, far)
		if r.Type != "file" || string(r.Data) != "a name" || r.ID == 0 {
			t.Errorf("%+v", r.Stream)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d of %d bytes, %v", len(got), size, err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("behind the end: %d, %v", n, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(arrived); i++ {
			if arrived[i] <= arrived[i-1] {
				t.Errorf("progress went from %d to %d", arrived[i-1], arrived[i])
			}
		}
		if size > 0 && (len(arrived) == 0 || arrived[len(arrived)-1] != int64(size)) {
			t.Errorf("progress %v, want %d at last", arrived, size)
		}
	}
}
