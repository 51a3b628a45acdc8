//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
)

// A crowd counts the readers that an application holds.
type crowd struct {
	held, most, all atomic.Int64
	readers         sync.WaitGroup
}

// take has each stream read by a goroutine of its own, which looks at it only after a while.
func (c *crowd) take(ctx context.Context, s *e2e.Session, done func(r *e2e.StreamReader)) error {
	for {
		r, err := s.ReceiveStream(ctx)
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
	read := func(r *e2e.StreamReader) { io.ReadAll(r) }
	for name, c := range map[string]struct {
		end  func(t *testing.T, w *e2e.StreamWriter, give func())
		done func(r *e2e.StreamReader)
	}{
		"given up at once":          {func(_ *testing.T, _ *e2e.StreamWriter, give func()) { give() }, read},
		"given up, and closed":      {func(_ *testing.T, _ *e2e.StreamWriter, give func()) { give() }, func(r *e2e.StreamReader) { r.Close() }},
		"given up behind some":      {func(_ *testing.T, w *e2e.StreamWriter, give func()) { w.Write(make([]byte, 5000)); give() }, read},
		"given up after a while":    {func(_ *testing.T, _ *e2e.StreamWriter, give func()) { time.Sleep(time.Second); give() }, read},
		"completed, empty":          {func(t *testing.T, w *e2e.StreamWriter, _ func()) { mustCloseStream(t, w) }, read},
		"completed with some in it": {func(t *testing.T, w *e2e.StreamWriter, _ func()) { w.Write(make([]byte, 5000)); mustCloseStream(t, w) }, read},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := over(t)
				var crowd crowd
				ctx, cancel := context.WithCancel(t.Context())
				taken := make(chan error, 1)
				go func() { taken <- crowd.take(ctx, server, c.done) }()
				before := inUse()
				for range 2000 {
					life, give := context.WithCancel(t.Context())
					w, err := client.OpenStream(life, "", nil)
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					c.end(t, w, give)
					give()
				}
				if most := crowd.most.Load(); most > e2e.MaxStreams {
					t.Errorf("the application has had %d readers at a time, want %d at most", most, e2e.MaxStreams)
				}
				if grown := inUse() - before; grown > 4<<20 {
					t.Errorf("the heap grew by %d bytes", grown)
				}
				time.Sleep(time.Hour)
				if held := crowd.held.Load(); held != 0 || crowd.all.Load() < e2e.MaxStreams {
					t.Errorf("%d of %d readers are held in the end", held, crowd.all.Load())
				}
				w := mustOpenStream(t, client) // there is room again
				mustCloseStream(t, w)
				time.Sleep(2 * time.Minute)
				mustSend(t, client, "still here")
				mustReceive(t, server, "still here")
				cancel()
				if err := <-taken; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				crowd.readers.Wait()
			})
		})
	}
}

func mustCloseStream(t *testing.T, w *e2e.StreamWriter) {
	t.Helper()
	if err := w.Finish(); err != nil {
		t.Error(err)
	}
}

// Streams that wait for room are handed out once the other end has closed the session, also to an
// application that has dropped all others, and then ReceiveStream says how the session ended.
func TestStreamsThatWaitForRoomOutliveTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := over(t)
		for range e2e.MaxStreams {
			w := mustOpenStream(t, client)
			mustReceiveStream(t, server)
			mustCloseStream(t, w) // it is empty, and nobody ever looks
		}
		w := mustOpenStream(t, client)
		go func() { w.Write([]byte("last")); w.Finish() }()
		got := make(chan string)
		ended := make(chan error, 1)
		go func() {
			r, err := server.ReceiveStream(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Error(err)
			}
			got <- string(b)
			_, err = server.ReceiveStream(context.Background())
			ended <- err
		}()
		synctest.Wait()
		select {
		case text := <-got:
			t.Fatalf("there was no room for %q", text)
		default:
		}
		client.Close()
		if text := <-got; text != "last" {
			t.Errorf("got %q", text)
		}
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want the end of the session", err)
		}
	})
}

// Requests whose callers have gone count until they are served: so many of them are served at a
// time, however many are sent.
func TestA56RequestsWithTheApplication(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := over(t)
		var held, most atomic.Int64
		router := mux.New()
		router.Handle("slow", func(context.Context, *e2e.Request) ([]byte, error) {
			if now := held.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(30 * time.Second)
			held.Add(-1)
			return nil, nil
		})
		serving(t, server, router)
		for range 2000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			client.Call(ctx, "slow", nil)
			cancel()
		}
		if got := most.Load(); got > 64 || got == 0 {
			t.Errorf("%d requests were served at a time, want %d at most", got, 64)
		}
	})
}
