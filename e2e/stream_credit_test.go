package e2e_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
)

// flood writes a stream for as long as that goes, and counts what it was rid of.
func flood(w *e2e.StreamWriter, written *int) <-chan error {
	stopped := make(chan error, 1)
	go func() {
		for {
			n, err := w.Write(make([]byte, 10_000))
			if *written += n; err != nil {
				stopped <- err
				return
			}
		}
	}()
	return stopped
}

// A stream that nobody reads, whether it was accepted or not, holds up its own writer and
// nothing else, for as long as it stays so.
func TestA34AnUnreadStreamHoldsUpOnlyItsWriter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		mux := e2e.NewMux()
		mux.Handle("ping", func(context.Context, *e2e.Request) ([]byte, error) { return []byte("pong"), nil })
		heard := 0
		mux.Handle("note", func(context.Context, *e2e.Request) ([]byte, error) { heard++; return nil, nil })
		served := make(chan error, 1)
		go func() { served <- mux.Serve(t.Context(), s) }()
		unread, refused := mustOpenStream(t, c), mustReceiveStream(t, s)
		unseen := mustOpenStream(t, c)
		var written [2]int
		stopped, other := flood(unread, &written[0]), flood(unseen, &written[1])
		synctest.Wait()
		for minute := range 10 {
			for range 200 {
				if _, err := c.SendMessage(t.Context(), "note", make([]byte, 10_000)); err != nil {
					t.Fatal(err)
				}
			}
			if pong, err := c.Call(t.Context(), "ping", make([]byte, 10_000)); err != nil || string(pong) != "pong" {
				t.Fatalf("Call: %q, %v", pong, err)
			}
			if minute == 0 { // it was opened before those that follow, so it is accepted first
				defer mustReceiveStream(t, s).Close()
			}
			mustPassStream(t, c, s, 3<<20)
			mustPassStream(t, s, c, 3<<20)
			time.Sleep(e2e.DefaultSendTimeout)
		}
		if heard != 2000 {
			t.Errorf("%d messages of 2,000 were served", heard)
		}
		for i, n := range written {
			if n > 16<<10 {
				t.Errorf("%d bytes of stream %d were taken, and none read", n, i)
			}
		}
		got := make([]byte, 100_000) // whoever reads at last gets it on
		if _, err := io.ReadFull(refused, got); err != nil {
			t.Fatal(err)
		}
		unread.Abort()
		unseen.Abort()
		<-stopped
		<-other
		c.Close()
		<-served
	})
}

// mustPassStream sends a stream from one end to the other, and has it take no time: on a
// clock that stands still while anybody works, only what waits takes some.
func mustPassStream(t *testing.T, from, to *e2e.Session, size int) {
	t.Helper()
	sent, start := make(chan error, 1), time.Now()
	data := randomBytes(7, size)
	go func() { sent <- from.SendStream(t.Context(), "file", bytes.NewReader(data), nil) }()
	got, err := io.ReadAll(mustReceiveStream(t, to))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d of %d bytes, %v", len(got), size, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a stream of %d bytes took %v", size, took)
	}
}
