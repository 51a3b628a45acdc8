//go:build !js

package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// memberAt connects to a hub from an address and joins a topic, over a link that holds
// two messages.
func memberAt(t *testing.T, hub *relay.Hub, address, topic, name string) transport.Conn {
	near, far := transport.Pipe(transport.WithBuffer(2))
	go hub.ServeConn(from{far, address})
	if err := near.Write(t.Context(), frame.Join{Topic: topic, Name: name}.Append(nil)); err != nil {
		t.Error(err)
	}
	return near
}

// messages calls got with each message that arrives, until the connection or ctx ends.
func messages(ctx context.Context, conn transport.Conn, got func(relay.Message)) error {
	for {
		b, err := conn.Read(ctx, nil)
		if err != nil {
			return err
		}
		if event, err := frame.ParseEvent(b); err != nil {
			return err
		} else if m, ok := event.(frame.Message); ok {
			got(relay.Message(m))
		}
	}
}

// A member that reads nothing holds a topic up for a moment in all, even if it joins again whenever
// it is cut, and however long it goes on. Members that read lose nothing.
func TestA34WhoReadsNothingHoldsATopicUpOnce(t *testing.T) {
	for name, test := range map[string]struct {
		nonReaders, rejoiners int
		most                  time.Duration // of 54 s; for each address where they do not stall at one time
	}{
		"one that stays":       {1, 0, 700 * time.Millisecond},
		"one that joins again": {0, 1, 800 * time.Millisecond},
		"both":                 {1, 1, 1500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := relay.New(relay.Options{})
				ctx, stop := context.WithTimeout(t.Context(), 54*time.Second)
				defer stop()
				var running sync.WaitGroup
				for i := range test.nonReaders {
					defer memberAt(t, hub, fmt.Sprintf("10.0.1.%d", i), "room", fmt.Sprint("silent ", i)).Close(transport.CodeNormal, "")
				}
				for i := range test.rejoiners {
					running.Go(func() {
						for n := 0; ctx.Err() == nil; n++ {
							near, far := transport.Pipe(transport.WithBuffer(2))
							near.Write(ctx, frame.Join{Topic: "room", Name: fmt.Sprint("again ", i, " ", n)}.Append(nil))
							cut := make(chan struct{})
							go func() { defer close(cut); hub.ServeConn(from{far, fmt.Sprintf("10.0.2.%d", i)}) }()
							select {
							case <-cut:
							case <-ctx.Done():
								near.Close(transport.CodeNormal, "")
								<-cut
							}
						}
					})
				}
				reader := memberAt(t, hub, "10.0.0.1", "room", "reader")
				var got atomic.Int64
				running.Go(func() { messages(ctx, reader, func(relay.Message) { got.Add(1) }) })
				writer := memberAt(t, hub, "10.0.0.2", "room", "writer")
				running.Go(func() { messages(ctx, writer, func(relay.Message) {}) })

				synctest.Wait()
				var held time.Duration
				payload := make([]byte, 32<<10)
				for sent := int64(1); ctx.Err() == nil; sent++ { // faster than any of them is cut
					began := time.Now()
					if writer.Write(ctx, frame.Publish{Topic: "room", Payload: payload}.Append(nil)) != nil {
						break
					}
					for synctest.Wait(); got.Load() < sent && ctx.Err() == nil; synctest.Wait() {
						time.Sleep(time.Millisecond)
					}
					held += time.Since(began)
					time.Sleep(50 * time.Millisecond)
				}
				running.Wait()
				t.Logf("held up for %v, %d messages", held, got.Load())
				if held > test.most {
					t.Errorf("the topic was held up for %v of 54 s, want at most %v", held, test.most)
				}
				hub.Shutdown(t.Context())
			})
		})
	}
}

// The hub waits for members that read slowly, as long as they take at least 32 KiB a second (a small
// message counts as 512 bytes), and does not cut them.
func TestA34ABurstWaitsForWhoReadsSlowly(t *testing.T) {
	for name, test := range map[string]struct {
		rate, size int // bytes a second and a message
		cut        bool
	}{
		"64 KiB/s, large messages":   {64 << 10, 32 << 10, false},
		"40 KiB/s, small messages":   {40 << 10, 200, false},
		"a hundred messages":         {100 * 150, 100, false},
		"16 KiB/s, large messages":   {16 << 10, 32 << 10, true},
		"a message in two seconds":   {50, 100, true},
		"200 KB/s, largest messages": {200_000, 255 << 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := relay.New(relay.Options{})
				burst := 3 * (2 << 20) / test.size
				if test.size <= 200 {
					burst = 3000 // the bound is that of frames
				}
				slow := memberAt(t, hub, "10.0.0.1", "room", "slow")
				writer := memberAt(t, hub, "10.0.0.2", "room", "writer")
				done := make(chan error, 1)
				got := 0
				go func() {
					err := messages(t.Context(), slow, func(m relay.Message) {
						got++
						time.Sleep(time.Duration(float64(len(m.Payload)) / float64(test.rate) * float64(time.Second)))
						if got == burst {
							slow.Close(transport.CodeNormal, "")
						}
					})
					done <- err
				}()
				go messages(t.Context(), writer, func(relay.Message) {})
				synctest.Wait()
				for range burst {
					if err := writer.Write(t.Context(), frame.Publish{Topic: "room", Payload: make([]byte, test.size)}.Append(nil)); err != nil {
						t.Fatal(err)
					}
				}
				err := <-done
				if cut := got < burst; cut != test.cut {
					t.Errorf("cut: %v, after %d of %d: %v", cut, got, burst, err)
				}
				writer.Close(transport.CodeNormal, "")
				slow.Close(transport.CodeNormal, "")
				if err := hub.Shutdown(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
}

// The hub slows a burst of joins and leaves down like a burst of messages.
func TestA34ABurstOfJoinsCutsNobodyWhoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := relay.New(relay.Options{})
		slow, jumpy := memberAt(t, hub, "10.0.0.1", "room", "slow"), memberAt(t, hub, "10.0.0.2", "another room", "jumpy")
		synctest.Wait()
		const burst = 1000
		done, got := make(chan error, 1), 0
		go func() {
			for {
				b, err := slow.Read(context.Background(), nil)
				if err != nil {
					done <- err
					return
				}
				time.Sleep(time.Duration(len(b)) * time.Second / (256 << 10))
				if event, _ := frame.ParseEvent(b); event != nil {
					if _, left := event.(frame.Left); left {
						if got++; got == burst {
							slow.Close(transport.CodeNormal, "")
						}
					}
				}
			}
		}()
		go messages(context.Background(), jumpy, func(relay.Message) {})
		for range burst {
			jumpy.Write(t.Context(), frame.Join{Topic: "room", Name: "jumpy", Presence: make([]byte, frame.MaxPresence)}.Append(nil))
			jumpy.Write(t.Context(), frame.Leave{Topic: "room"}.Append(nil))
		}
		if err := <-done; got < burst {
			t.Errorf("cut after %d of %d: %v", got, burst, err)
		}
		jumpy.Close(transport.CodeNormal, "")
		hub.Shutdown(t.Context())
	})
}
