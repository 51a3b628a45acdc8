//go:build !js

package streams_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/streams"
)

// A crowd counts the readers that an application holds.
type crowd struct {
	held, most, all atomic.Int64
	readers         sync.WaitGroup
}

// take has each stream read by a goroutine of its own, which looks at it only after a while.
func (c *crowd) take(ctx context.Context, e *end, done func(r *streams.Reader)) error {
	for {
		r, err := e.Accept(ctx)
		if err != nil {
			return err
		}
		c.all.Add(1)
		if now := c.held.Add(1); now > c.most.Load() {
			c.most.Store(now)
		}
		c.readers.Go(func() {
			time.Sleep(time.Minute)
			c.held.Add(-1)
			done(r)
		})
	}
}

// A56: however fast streams are begun, and given up or completed, the application has no more of
// them to look after than may be under way.
func TestA56StreamsWithTheApplication(t *testing.T) {
	read := func(r *streams.Reader) { io.ReadAll(r) }
	for name, c := range map[string]struct {
		end  func(t *testing.T, w *streams.Writer, give func())
		done func(r *streams.Reader)
	}{
		"given up at once":          {func(_ *testing.T, _ *streams.Writer, give func()) { give() }, read},
		"given up, and closed":      {func(_ *testing.T, _ *streams.Writer, give func()) { give() }, func(r *streams.Reader) { r.Close() }},
		"given up behind some":      {func(_ *testing.T, w *streams.Writer, give func()) { w.Write(make([]byte, 5000)); give() }, read},
		"given up after a while":    {func(_ *testing.T, _ *streams.Writer, give func()) { time.Sleep(time.Second); give() }, read},
		"completed, empty":          {func(t *testing.T, w *streams.Writer, _ func()) { mustFinish(t, w) }, read},
		"completed with some in it": {func(t *testing.T, w *streams.Writer, _ func()) { w.Write(make([]byte, 5000)); mustFinish(t, w) }, read},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := join(t)
				var crowd crowd
				ctx, cancel := context.WithCancel(t.Context())
				taken := make(chan error, 1)
				go func() { taken <- crowd.take(ctx, far, c.done) }()
				before := inUse()
				for range 2000 {
					life, give := context.WithCancel(t.Context())
					w, err := near.Open(life, "", nil)
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					c.end(t, w, give)
					give()
				}
				if most := crowd.most.Load(); most > streams.Max {
					t.Errorf("the application has had %d readers at a time, want %d at most", most, streams.Max)
				}
				if grown := inUse() - before; grown > 1<<20 {
					t.Errorf("the heap grew by %d bytes", grown)
				}
				time.Sleep(time.Hour)
				if held := crowd.held.Load(); held != 0 || crowd.all.Load() < streams.Max {
					t.Errorf("%d of %d readers are held in the end", held, crowd.all.Load())
				}
				mustFinish(t, mustOpen(t, near)) // there is room again
				time.Sleep(2 * time.Minute)
				cancel()
				if err := <-taken; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				crowd.readers.Wait()
				mustPass(t, near, far, 1000)
			})
		})
	}
}

// Streams that wait for room are handed out once the other end has closed the session, also to an
// application that has dropped all others, and then Accept says how the session ended.
func TestStreamsThatWaitForRoomOutliveTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := join(t)
		for range streams.Max {
			w := mustOpen(t, near)
			mustAccept(t, far)
			mustFinish(t, w) // it is empty, and nobody ever looks
		}
		w := mustOpen(t, near)
		go func() { w.Write([]byte("last")); w.Finish() }()
		accepted, ended := make(chan *streams.Reader, 1), make(chan error, 1)
		go func() {
			r, err := far.Accept(context.Background())
			if err != nil {
				t.Error(err)
			}
			accepted <- r
			_, err = far.Accept(context.Background())
			ended <- err
		}()
		synctest.Wait()
		if len(accepted) > 0 {
			t.Fatal("there was no room for one more")
		}
		near.close()
		if got, err := io.ReadAll(<-accepted); err != nil || string(got) != "last" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want the end of the session", err)
		}
	})
}

// A foreignContext is a context of the application's own. Its AfterFunc, and the function that stops
// it, use the streams.
type foreignContext struct {
	context.Context
	use func()
}

func (foreignContext) Value(any) any { return nil } // package context then asks for AfterFunc

func (c foreignContext) AfterFunc(f func()) (stop func() bool) {
	c.use()
	end := context.AfterFunc(c.Context, f)
	return func() bool { c.use(); return end() }
}

// The code of an application's context runs without locks: it may use the session.
func TestContextsMayUseTheStreams(t *testing.T) {
	near, far := join(t)
	first, second := mustOpen(t, near), mustOpen(t, near)
	other := mustAccept(t, far)
	used := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := far.Accept(foreignContext{ctx, func() { used++; other.Close() }})
	if err != nil {
		t.Fatal(err)
	}
	first.Abort()
	second.Abort()
	_, err = io.ReadAll(r)
	wantGivenUp(t, err, true)
	if used != 2 {
		t.Errorf("the context's code ran %d times, want 2", used)
	}
}
