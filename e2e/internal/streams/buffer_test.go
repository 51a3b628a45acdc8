//go:build !js

package streams_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/streams"
)

// A56: what all streams may have unread is bounded: a window, and 16 KiB for each of them,
// whatever was read of them before, and however small the pieces are.
func TestA56StreamsThatAreAllUnread(t *testing.T) {
	const most = window + streams.Max*firstCredit
	synctest.Test(t, func(t *testing.T) {
		near, far := join(t)
		var written [streams.Max]int
		var readers []*streams.Reader
		var stopped []<-chan error
		for i := range written {
			w := mustOpen(t, near)
			readers = append(readers, mustAccept(t, far))
			stopped = append(stopped, flood(w, &written[i]))
		}
		synctest.Wait()
		before, read := inUse(), 0
		for range 5 { // so that each takes as much of the window as it can get
			for _, r := range readers {
				mustReadSome(t, r, 300_000)
				read += 300_000
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
		if grown > 2*window {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		near.close()
		for _, err := range stopped {
			<-err
		}
	})
}

// A56: the same in pieces of a few bytes.
func TestA56StreamsInSmallPieces(t *testing.T) {
	const size, all = 16, streams.Max * firstCredit
	near, far := joinHostile(t)
	for range streams.Max {
		near.raw(open, 0, nil)
		defer mustAccept(t, far).Close()
	}
	before := inUse()
	for range firstCredit / size {
		for id := range uint64(streams.Max) {
			near.raw(piece, id+1, make([]byte, size))
		}
	}
	near.flush()
	wantGoesOn(t, far)
	grown := inUse() - before
	t.Logf("%d bytes take %d", all, grown)
	if grown > 3*all/2 {
		t.Errorf("%d bytes take %d", all, grown)
	}
}

// A56: a stream that was read to its end keeps nothing, however long the context lives with which
// it was accepted.
func TestA56StreamsThatWereRead(t *testing.T) {
	for name, read := range map[string]func(r *streams.Reader){
		"to the end":          func(r *streams.Reader) { io.ReadAll(r) },
		"to the last byte":    func(r *streams.Reader) { io.ReadFull(r, make([]byte, 100)) },
		"a byte, and closed":  func(r *streams.Reader) { r.Read(make([]byte, 1)); r.Close() },
		"nothing, and closed": func(r *streams.Reader) { r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			near, far := join(t)
			opts := &streams.Options{Data: make([]byte, streams.MaxMetadata)}
			before := inUse()
			for range 1000 {
				go near.Send(t.Context(), "", bytes.NewReader(make([]byte, 100)), opts)
				read(mustAccept(t, far))
			}
			near.flush()
			if grown := inUse() - before; grown > 1<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

// inUse returns the size of the heap.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
