package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

func mustOpenStream(t testing.TB, s *e2e.Session) *e2e.StreamWriter {
	t.Helper()
	w, err := s.OpenStream(t.Context(), "file", nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustReceiveStream(t testing.TB, s *e2e.Session) *e2e.StreamReader {
	t.Helper()
	r, err := s.ReceiveStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStreams(t *testing.T) {
	c, s := over(t)
	streamsOfSizes(t, c, s)
	c, s = overAs(t, signed)
	streamsOfSizes(t, c, s)
}

func streamsOfSizes(t *testing.T, c, s *e2e.Session) {
	for _, size := range []int{0, 1, 64<<10 - 129, 64<<10 - 128, 64<<10 - 127, 64 << 10, 1<<20 + 3} {
		sent := randomBytes(1, size)
		var arrived []int64
		done := make(chan error, 1)
		go func() {
			done <- c.SendStream(t.Context(), "file", bytes.NewReader(sent), &e2e.StreamOptions{
				Data:     []byte("a name"),
				Progress: func(n int64) { arrived = append(arrived, n) },
			})
		}()
		r := mustReceiveStream(t, s)
		if r.Type != "file" || string(r.Data) != "a name" || r.ID == 0 || time.Since(r.Time) > time.Hour {
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
		r.Close()
	}
	mustSend(t, c, "a message")
	mustReceive(t, s, "a message")
}

// Streams and messages go both ways at once.
func TestStreamsBesideMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		var all sync.WaitGroup
		for _, ends := range [][2]*e2e.Session{{c, s}, {s, c}} {
			for n := range 5 {
				data := randomBytes(uint64(n), 300_000+n)
				all.Go(func() {
					if err := ends[0].SendStream(t.Context(), fmt.Sprint(n), bytes.NewReader(data), nil); err != nil {
						t.Errorf("SendStream: %v", err)
					}
				})
				all.Go(func() {
					r := mustReceiveStream(t, ends[1])
					var n int
					fmt.Sscan(r.Type, &n)
					got, err := io.ReadAll(r)
					if err != nil || !bytes.Equal(got, randomBytes(uint64(n), 300_000+n)) {
						t.Errorf("stream %d: %d bytes, %v", n, len(got), err)
					}
				})
			}
			all.Go(func() {
				for n := range 100 {
					if err := ends[0].Send(t.Context(), fmt.Append(nil, n)); err != nil {
						t.Errorf("Send: %v", err)
					}
				}
			})
			all.Go(func() {
				for n := range 100 {
					got, err := ends[1].Receive(t.Context())
					if err != nil || string(got) != fmt.Sprint(n) {
						t.Errorf("message %d: %q, %v", n, got, err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// A stream that was not completed never reads as one that was.
func TestA15StreamsThatAreCutShort(t *testing.T) {
	broken := errors.New("the disk broke")
	seen := make(chan struct{}) // closed when the stream of a reader that fails was received
	for name, c := range map[string]struct {
		end  func(c *e2e.Session, w *e2e.StreamWriter, cancel func())
		want error // nil: a StreamError
	}{
		"Abort":     {func(_ *e2e.Session, w *e2e.StreamWriter, _ func()) { w.Abort(); w.Finish() }, nil},
		"a context": {func(_ *e2e.Session, w *e2e.StreamWriter, cancel func()) { cancel(); w.Finish() }, nil},
		"a reader that fails": {func(c *e2e.Session, w *e2e.StreamWriter, _ func()) {
			w.Finish()
			go func() {
				err := c.SendStream(context.Background(), "", io.MultiReader(strings.NewReader("begun"), failing{broken, seen}), nil)
				if err != broken {
					t.Errorf("SendStream: %v", err)
				}
			}()
		}, nil},
		"Close":   {func(c *e2e.Session, _ *e2e.StreamWriter, _ func()) { c.Close() }, nil},
		"the end": {func(c *e2e.Session, _ *e2e.StreamWriter, _ func()) { e2e.ConnOf(c).(*transport.PipeConn).Cut() }, e2e.ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := over(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w, err := near.OpenStream(ctx, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			r := mustReceiveStream(t, far)
			mustWriteTo(t, w, "begun")
			mustReadFrom(t, r, "begun")
			c.end(near, w, cancel)
			if name == "a reader that fails" {
				if got, err := io.ReadAll(r); err != nil || len(got) != 0 {
					t.Errorf("the one before: %q, %v", got, err)
				}
				r = mustReceiveStream(t, far)
				close(seen)
			}
			_, err = io.ReadAll(r)
			givenUp := c.want == nil && errors.As(err, new(*e2e.StreamError))
			if !givenUp && !errors.Is(err, c.want) || errors.Is(err, io.EOF) {
				t.Errorf("Read: %v, want %v", err, c.want)
			}
			w.Abort()
		})
	}
}

type failing struct {
	err  error
	when <-chan struct{}
}

func (f failing) Read([]byte) (int, error) {
	<-f.when
	return 0, f.err
}

// Whoever does not read stops the sender, not its own memory; calls and the sender's
// second thoughts pass.
func TestA34AReaderThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		router := mux.New()
		router.Handle("ping", func(context.Context, *e2e.Request) ([]byte, error) { return []byte("pong"), nil })
		served := make(chan error, 1)
		go func() { served <- router.Serve(t.Context(), s) }()
		ctx, cancel := context.WithCancel(t.Context())
		w, err := c.OpenStream(ctx, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := mustReceiveStream(t, s)
		var written int
		stopped := make(chan error, 1)
		go func() {
			for {
				n, err := w.Write(make([]byte, 10_000))
				if written += n; err != nil {
					stopped <- err
					return
				}
			}
		}()
		synctest.Wait()
		synctest.Wait()
		if written > 16<<10 {
			t.Errorf("%d bytes were taken", written)
		}
		if pong, err := c.Call(t.Context(), "ping", nil); err != nil || string(pong) != "pong" {
			t.Errorf("Call: %q, %v", pong, err)
		}
		cancel()
		if err := <-stopped; !errors.As(err, new(*e2e.StreamError)) || !errors.Is(err, context.Canceled) {
			t.Errorf("Write: %v", err)
		}
		time.Sleep(time.Second)
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.As(err, new(*e2e.StreamError)) {
			t.Errorf("Read: %d, %v", n, err)
		}
		for range 50 { // what the stream had is free again
			if err := c.SendStream(t.Context(), "", bytes.NewReader(make([]byte, 1000)), nil); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(mustReceiveStream(t, s)); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		<-served
	})
}

// Memory does not grow with a stream.
func TestStreamsTakeConstantMemory(t *testing.T) {
	size := int64(16 << 20)
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		size = 256 << 20
	}
	c, s := over(t)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sent := make(chan error, 1)
	go func() { sent <- c.SendStream(t.Context(), "", io.LimitReader(zeros{}, size), nil) }()
	r := mustReceiveStream(t, s)
	buf := make([]byte, 100_000)
	var most uint64
	for got := int64(0); ; {
		n, err := r.Read(buf)
		if got += int64(n); err == io.EOF {
			if got != size {
				t.Errorf("%d of %d bytes", got, size)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got%(1<<20) < int64(n) {
			var now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A session that is stored refuses streams, at both ends, and goes on.
func TestStreamsOfStoredSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, stored(hosting(bob, alice), sessionstore.Memory()), func(ctx context.Context, s *e2e.Session) error {
			if _, err := s.OpenStream(ctx, "", nil); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("OpenStream: %v", err)
			}
			if _, err := s.ReceiveStream(ctx); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("ReceiveStream: %v", err)
			}
			return echo(ctx, s)
		})
		a, b := transport.Pipe()
		done := serve(srv, b)
		c, err := e2e.Connect(t.Context(), a, "pipe", trusting(alice, bob))
		if err != nil {
			t.Fatal(err)
		}
		var given *e2e.StreamError
		if err := c.SendStream(t.Context(), "", io.LimitReader(zeros{}, 10<<20), nil); !errors.As(err, &given) || !given.Remote {
			t.Errorf("SendStream: %v", err)
		}
		mustSend(t, c, "still here")
		mustReceive(t, c, "still here")
		c.Close()
		<-done
	})
}
