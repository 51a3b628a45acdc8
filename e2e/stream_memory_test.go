//go:build !js

package e2e_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/engine"
)

// A56: what all streams may have unread is bounded: a window, and 16 KiB for each of them,
// whatever was read of them before, and however small the pieces are.
func TestA56StreamsThatAreAllUnread(t *testing.T) {
	const most = e2e.DefaultWindow + e2e.MaxStreams*16<<10
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		var written [e2e.MaxStreams]int
		var readers []*e2e.StreamReader
		var stopped []<-chan error
		for i := range written {
			w := mustOpenStream(t, c)
			readers = append(readers, mustReceiveStream(t, s))
			stopped = append(stopped, flood(w, &written[i]))
		}
		synctest.Wait()
		before := inUse()
		read := 0
		for range 5 { // so that each takes as much of the window as it can get
			for _, r := range readers {
				n, err := io.ReadFull(r, make([]byte, 300_000))
				if read += n; err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		unread := -read
		for _, n := range written {
			unread += n
		}
		grown := inUse() - before
		t.Logf("%d bytes are unread, the heap grew by %d", unread, grown)
		if unread > most || unread < most/2 {
			t.Errorf("%d bytes are unread, want %d at most and half of that at least", unread, most)
		}
		if grown > 2*e2e.DefaultWindow {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		c.Close()
		for _, err := range stopped {
			<-err
		}
	})
}

// A56: the same in pieces of a few bytes, each of which costs its sender the memory of a
// message, and its receiver that of those bytes.
func TestA56StreamsInSmallPieces(t *testing.T) {
	const size = 16
	c, s := over(t)
	for range e2e.MaxStreams {
		mustSendRaw(t, c, engine.Header{Kind: engine.KindStreamOpen}, nil)
		defer mustReceiveStream(t, s).Close()
	}
	before := inUse()
	for range 16 << 10 / size {
		for id := range uint64(e2e.MaxStreams) {
			header := engine.Header{Kind: engine.KindStreamPiece, Answers: id + 1}
			for {
				err := e2e.SendRaw(c, append(header.Append(nil), make([]byte, size)...))
				if err == nil {
					break
				}
				if !errors.Is(err, engine.ErrBlocked) {
					t.Fatal(err)
				}
				if err := c.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if grown := inUse() - before; grown > 4<<20 {
		t.Errorf("%d bytes take %d", e2e.MaxStreams*16<<10, grown)
	} else {
		t.Logf("%d bytes take %d", e2e.MaxStreams*16<<10, grown)
	}
}
