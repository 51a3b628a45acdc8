package streams_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/streams"
)

// A writer waits for credit until its context ends, however long that is, and the session
// goes on behind that.
func TestAStreamsContextEndsWhileItWaitsForCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := join(t)
		const patience = 5 * time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		w, err := near.Open(ctx, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		r, start := mustAccept(t, far), time.Now()
		n, err := w.Write(make([]byte, 100_000))
		if n != firstCredit || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, new(*fault.StreamError)) {
			t.Errorf("%d bytes were written, %v", n, err)
		}
		if took := time.Since(start); took != patience {
			t.Errorf("the writer waited for %v, not %v", took, patience)
		}
		synctest.Wait()
		_, err = r.Read(make([]byte, 1))
		wantGivenUp(t, err, true)
		mustPass(t, near, far, 1<<20)
	})
}

// The session reads by itself for as long as somebody waits, and no longer.
func TestWhoWaitsHasTheSessionRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := join(t)
		want := func(e *end, n int) {
			t.Helper()
			synctest.Wait()
			if e.wanted != n {
				t.Errorf("the session is wanted by %d, not by %d", e.wanted, n)
			}
		}
		accepted := make(chan *streams.Reader, 1)
		go func() { accepted <- mustAccept(t, far) }()
		want(far, 1)
		w := mustOpen(t, near)
		r := <-accepted
		want(far, 0)
		written, read := make(chan error, 1), make(chan error, 1)
		go func() { _, err := w.Write(make([]byte, firstCredit+1)); written <- err }()
		want(near, 1) // for credit
		go func() { _, err := io.Copy(io.Discard, r); read <- err }()
		want(near, 0)
		want(far, 1)
		w.Abort()
		wantGivenUp(t, <-read, true)
		want(far, 0)
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// A stream may be finished while nobody reads it, and is read later. Until then it has its
// place among those that are under way.
func TestStreamsFinishedWithAnUnreadRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := join(t)
		for range streams.Max {
			if err := near.Send(t.Context(), "", bytes.NewReader(make([]byte, firstCredit)), nil); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := near.Open(ctx, "", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more than there may be: %v", err)
		}
		for i := range streams.Max {
			r := mustAccept(t, far)
			if i%2 > 0 {
				r.Close() // gives its place back too
			} else if got, err := io.ReadAll(r); err != nil || len(got) != firstCredit {
				t.Fatalf("stream %d: %d bytes, %v", i, len(got), err)
			}
		}
		for range 2 * streams.Max {
			mustPass(t, near, far, 100)
		}
	})
}

// However a stream ends, it gives back what it had of the window, and its place.
func TestStreamsGiveTheirPartOfTheWindowBack(t *testing.T) {
	for name, end := range map[string]func(w *streams.Writer, r *streams.Reader){
		"its end, unread": func(w *streams.Writer, r *streams.Reader) { w.Finish(); r.Close() },
		"its end, read":   func(w *streams.Writer, r *streams.Reader) { w.Finish(); io.Copy(io.Discard, r) },
		"an abort":        func(w *streams.Writer, r *streams.Reader) { w.Abort(); io.Copy(io.Discard, r) },
		"a cancel":        func(_ *streams.Writer, r *streams.Reader) { r.Close() },
		"a cancel that the end has crossed": func(w *streams.Writer, r *streams.Reader) {
			r.Close()
			time.Sleep(time.Millisecond / 2) // the cancel is under way
			w.Finish()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := join(t)
				near.late, far.late = time.Millisecond, time.Millisecond
				for range 2 * streams.Max {
					w, r := mustOpen(t, near), mustAccept(t, far)
					go w.Write(make([]byte, 300_000))
					mustReadSome(t, r, 200_000)
					time.Sleep(100 * time.Millisecond)
					end(w, r)
					time.Sleep(10 * time.Millisecond)
				}
				unread := 0
				w, r := mustOpen(t, near), mustAccept(t, far)
				stopped := flood(w, &unread)
				mustReadSome(t, r, 300_000)
				time.Sleep(time.Second)
				synctest.Wait()
				if unread -= 300_000; unread < window*3/8 || unread > window/2+firstCredit {
					t.Errorf("%d bytes of the last stream are unread", unread)
				}
				w.Abort()
				<-stopped
				time.Sleep(time.Second) // for the last message
			})
		})
	}
}
